"""The predictions of the photos of `ingest.unlabelled`, from the tables of earlier stages."""

import numpy as np
import pandas as pd

from stages.schemas.predictions import Predictions
from stages.submission.submitting import PhotoPredictions, is_photo, ranked


def predict_rows(rows: pd.DataFrame, predicted: Predictions, prior: np.ndarray, is_listed: bool) -> PhotoPredictions:
    """The predictions of rows of data/splits.csv by image id, or the `prior` (C,) of a photo without model input.

    Files that are no photos are left out, unless a table names them, `is_listed`.
    """
    is_kept = [is_listed or is_photo(path, reason) for path, reason in zip(rows["path"], rows["reason"])]
    kept = rows[np.array(is_kept, dtype=bool)]
    place = {image_id: row for row, image_id in enumerate(predicted.image_ids)}
    numbers = [place.get(image_id) for image_id in kept["image_id"]]
    probabilities = [prior if number is None else predicted.probabilities[number] for number in numbers]
    # The reason of a copy, or of a photo without a main car, is none here: there is a prediction.
    reasons = [reason if number is None else "" for reason, number in zip(kept["reason"], numbers)]
    values = np.array(probabilities, dtype=np.float64).reshape(len(kept), len(predicted.classes))
    return PhotoPredictions(kept["path"].tolist(), kept["image_id"].tolist(), reasons, values, predicted.classes)


def to_table(predicted: PhotoPredictions) -> pd.DataFrame:
    """data/predictions_unlabelled.csv: path, image_id, the likeliest class and the runner-up, and the reason."""
    photos = {"path": predicted.paths, "image_id": predicted.image_ids}
    return pd.DataFrame({**photos, **ranked(predicted), "reason": predicted.reasons})
