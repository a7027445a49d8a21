"""The gallery of the most confused pairs of classes: a photo of each, side by side."""

import pandas as pd

from stages.report.confusions import ConfusedPair
from stages.report.galleries import Card, Gallery, Marks
from stages.report.pictures import GalleryImage, ThumbnailStore, gallery_image

_PAIRS = 12


def pair_gallery(predicted: pd.DataFrame, pairs: list[ConfusedPair], store: ThumbnailStore) -> Gallery:
    """Cards of the most frequent `pairs`; `predicted` are the test rows with their predicted class and probability."""
    photos = {str(label): rows for label, rows in predicted.groupby("label")}
    cards = tuple(_pair_card(pair, photos, store) for pair in pairs[:_PAIRS])
    sentence = (
        "The most frequent first. Left and right: the photo of each class that is mistaken for the other with the "
        "highest probability, or its surest photo where none is."
    )
    return Gallery("Most confused pairs", sentence, len(pairs), cards, is_ranked=True)


def _pair_card(pair: ConfusedPair, photos: dict[str, pd.DataFrame], store: ThumbnailStore) -> Card:
    sides = [(pair.first, pair.second, pair.first_as_second), (pair.second, pair.first, pair.second_as_first)]
    chosen = {label: _typical(photos[label], other) for label, other, _ in sides if label in photos}
    images = tuple(_image(chosen.get(label), label, store) for label, _, _ in sides)
    lines = tuple(f"{label} as {other}: {times} of {len(photos.get(label, ()))}" for label, other, times in sides)
    outcomes = "\n".join(sorted({row["outcome"] for row in chosen.values()}))
    return Card(Marks(f"{pair.first}\n{pair.second}", "test", outcomes), f"{pair.first} | {pair.second}", images, lines)


def _typical(rows: pd.DataFrame, other: str) -> pd.Series:
    """The photo that is predicted as `other` with the highest probability, or the surest one where none is."""
    mistaken = rows[rows["predicted"] == other]
    if len(mistaken):
        return mistaken.iloc[int(mistaken["probability"].argmax())]
    return rows.iloc[int(rows["true_probability"].argmax())]


def _image(row: pd.Series | None, label: str, store: ThumbnailStore) -> GalleryImage:
    if row is None:
        return GalleryImage("", f"no test photo of {label}", f"Photo of {label}")
    text = f"{label}, predicted as {row['predicted']}: crop of {row['path']}"
    return gallery_image(store.crop(row["image_id"]), text)
