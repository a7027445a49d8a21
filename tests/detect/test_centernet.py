import numpy as np
import pytest

from stages.detect import centernet


def blank(rows=4, columns=5, classes=2):
    return np.zeros((rows, columns, classes), np.float32)


def cells(objects):
    return list(zip(*(part.tolist() for part in objects)))


def test_peaks_are_the_maxima_of_their_neighbours_best_first():
    heatmap = blank()
    heatmap[1, 3, 0], heatmap[0, 0, 1], heatmap[3, 4, 0] = 0.9, 0.8, 0.7
    heatmap[1, 2, 0] = 0.85  # beside 0.9, so no peak
    heatmap[1, 3, 1] = 0.3  # another class does not hide it
    before = heatmap.copy()
    assert cells(centernet.peaks(heatmap, 10, 0.1)) == [(1, 3, 0), (0, 0, 1), (3, 4, 0), (1, 3, 1)]
    assert cells(centernet.peaks(heatmap, 2, 0.1)) == [(1, 3, 0), (0, 0, 1)]
    np.testing.assert_array_equal(heatmap, before)


@pytest.mark.parametrize("cell", [(0, 0), (0, 4), (3, 0), (3, 4), (0, 2), (2, 0), (3, 2), (2, 4)])
def test_a_peak_at_any_border_is_found(cell):
    heatmap = blank()
    heatmap[*cell, 1] = 0.5
    assert cells(centernet.peaks(heatmap, 10, 0.1)) == [(*cell, 1)]


def test_every_cell_of_a_plateau_is_a_peak_in_the_order_class_row_column():
    heatmap = blank()
    heatmap[1, 1:3], heatmap[2, 1, 0] = 0.5, 0.5
    expected = [(1, 1, 0), (1, 2, 0), (2, 1, 0), (1, 1, 1), (1, 2, 1)]
    assert cells(centernet.peaks(heatmap, 10, 0.1)) == expected
    assert cells(centernet.peaks(heatmap, 3, 0.1)) == expected[:3]


def test_the_threshold_itself_is_kept():
    heatmap = blank()
    heatmap[1, 1, 0], heatmap[3, 3, 0] = np.float32(0.05), np.nextafter(np.float32(0.05), np.float32(0))
    assert cells(centernet.peaks(heatmap, 10, 0.05)) == [(1, 1, 0)]


def test_boxes_are_measured_from_the_corner_of_the_cell():
    heatmap, extents = blank(), np.zeros((4, 5, 4), np.float32)
    heatmap[1, 3, 1], heatmap[3, 0, 0] = 0.9, 0.8
    extents[1, 3], extents[3, 0] = (1, 2, 3, 4), (10, 0.5, 0, 100)
    before = extents.copy()
    objects = centernet.decode(heatmap, extents, stride=4, top_k=10, threshold=0.1)
    assert objects.boxes.tolist() == [[11, 2, 15, 8], [-10, 11.5, 0, 112]]
    np.testing.assert_array_equal(objects.scores, np.float32([0.9, 0.8]))
    assert objects.classes.tolist() == [1, 0]
    assert (objects.boxes.dtype, objects.scores.dtype, objects.classes.dtype) == (np.float32, np.float32, np.int64)
    np.testing.assert_array_equal(extents, before)


def test_nothing_above_the_threshold_gives_no_objects():
    objects = centernet.decode(blank(), np.ones((4, 5, 4), np.float32), 4, 10, 0.05)
    assert objects.boxes.shape == (0, 4) and objects.scores.shape == (0,) and objects.classes.shape == (0,)
    assert objects.boxes.dtype == np.float32 and objects.classes.dtype == np.int64


def test_extents_below_zero_never_turn_a_box_inside_out():
    heatmap, extents = blank(), np.zeros((4, 5, 4), np.float32)
    heatmap[1, 3, 1], extents[1, 3] = 0.9, (-6, 2, 1, -9)
    (box,) = centernet.decode(heatmap, extents, 4, 10, 0.1).boxes
    assert box[2] >= box[0] and box[3] >= box[1]


def test_extents_of_a_mirrored_image_give_the_same_box():
    # 4 columns of 4 px. The box 3..11 x 1..7 as seen from cell 1, whose corner is at 4, and in the mirror image, where
    # it is 5..13, from cell 2, whose corner is at 8.
    plain, mirrored = np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 4), np.float32)
    plain[0, 1], mirrored[0, 2] = (1, -1, 7, 7), (3, -1, 5, 7)
    before = mirrored.copy()
    np.testing.assert_array_equal(centernet.unmirrored(mirrored, 4)[0, 1], plain[0, 1])
    np.testing.assert_array_equal(mirrored, before)
    assert centernet.unmirrored(mirrored, 4).dtype == np.float32
