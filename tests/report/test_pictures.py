import base64

import cv2
import numpy as np
import pandas as pd

from stages.report import pictures
from stages.report.pictures import Thumbnail

BLANK = Thumbnail(np.zeros((60, 100, 3), np.uint8), "")
COLUMNS = ["class_name", "score", "x_min", "y_min", "x_max", "y_max"]


def photo(**changes):
    chosen = {"x_min": 20.0, "y_min": 10.0, "x_max": 180.0, "y_max": 100.0, "score": 0.5, "class_name": "car"}
    return pd.Series({"width": 200, "height": 120, "is_cropped": True, **chosen, **changes})


def test_boxes_are_scaled_and_the_chosen_one_comes_last():
    detections = pd.DataFrame([("car", 0.5, 20, 10, 180, 100), ("truck", 0.75, 100, 60, 200, 120)], columns=COLUMNS)
    before = detections.copy()
    other, chosen = pictures.thumbnail_boxes(detections, photo(), BLANK)
    assert (other.x, other.y, other.width, other.height, other.is_chosen, other.label) == (
        50,
        30,
        50,
        30,
        False,
        "0.75",
    )
    assert (chosen.x, chosen.y, chosen.width, chosen.height, chosen.is_chosen) == (10, 5, 80, 45, True)
    pd.testing.assert_frame_equal(detections, before)


def test_a_box_of_another_class_with_the_same_corners_is_not_chosen():
    detections = pd.DataFrame([("truck", 0.5, 20, 10, 180, 100), ("car", 0.5, 20, 10, 180, 100)], columns=COLUMNS)
    assert pictures.is_chosen_box(detections, photo()).tolist() == [False, True]
    assert pictures.is_chosen_box(detections, photo(is_cropped=False)).tolist() == [False, False]


def test_labels_do_not_overlap_and_stay_inside():
    detections = pd.DataFrame([("car", 0.9 - n / 100, 190, 110 - n, 200, 120) for n in range(5)], columns=COLUMNS)
    boxes = pictures.thumbnail_boxes(detections, photo(is_cropped=False), BLANK)
    labelled = [box for box in boxes if box.label]
    assert [box.label for box in labelled] == ["0.90"]
    assert labelled[0].label_x + 24 <= 100 and labelled[0].label_y <= 60


def test_no_boxes_and_no_image():
    detections = pd.DataFrame([("car", 0.5, 20, 10, 180, 100)], columns=COLUMNS)
    assert pictures.thumbnail_boxes(detections[:0], photo(), BLANK) == ()
    assert pictures.thumbnail_boxes(detections, photo(), Thumbnail(None, "missing")) == ()
    missing = pictures.gallery_image(Thumbnail(None, "missing"), "a photo")
    assert (missing.uri, missing.reason, missing.alt) == ("", "missing", "a photo")


def test_an_embedded_image_keeps_its_corners():
    image = np.zeros((33, 47, 3), np.uint8)
    image[:16, :24], image[:16, 24:], image[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    kind, content = pictures.data_uri(image).split(",")
    assert kind == "data:image/webp;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert decoded.shape == image.shape
    for row, column in ((3, 3), (3, 43), (29, 3), (29, 43)):
        assert np.abs(decoded[row, column].astype(int) - image[row, column]).max() < 30
