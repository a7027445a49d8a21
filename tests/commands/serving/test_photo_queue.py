"""The queue before the networks: batches, order, its end, photos that make the code fail."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from stages.commands.inference_pipeline import ModelInputs
from stages.commands.serving.limits import ServingLimits
from stages.commands.serving.monitoring import ServerMetrics
from stages.commands.serving.photo_queue import PhotoQueue, QueueFullError, Wanted
from stages.commands.trained_ensemble import PhotoResult
from stages.images import images
from stages.images.errors import ImageError
from tests import hostile

CLASSES = ["a", "b"]


class FakeEnsemble:
    """An ensemble with batches of two; the probability of `a` is the first byte of a photo as a share of 255.

    It begins a batch when `gate` is open, and fails where a photo is b"fault".
    """

    def __init__(self, size=2):
        self.classes, self.gate, self.batches, self.begun = CLASSES, threading.Event(), [], threading.Semaphore(0)
        self.preprocessor = SimpleNamespace(
            settings=SimpleNamespace(detect=SimpleNamespace(inference=SimpleNamespace(batch_size=size)))
        )

    def predict_with_inputs(self, photos, _):
        self.begun.release()
        assert self.gate.wait(60)
        self.batches.append([photo.content for photo in photos])
        for photo in photos:
            if photo.content == b"fault":
                raise RuntimeError("a fault of the code")
            share = photo.content[0] / 255
            yield PhotoResult(np.array([share, 1 - share]), ""), ModelInputs({}, "", (4, 3))


def no_heat_maps():
    """Heat maps are not made ready before a photo wants one."""
    raise AssertionError


@pytest.fixture
def ensemble():
    return FakeEnsemble()


@pytest.fixture
def photos(ensemble):
    """A queue of at most four photos, any of which is taken for a photo."""
    made = PhotoQueue(ensemble, no_heat_maps, ServingLimits(max_queue=4, wait_seconds=0), ServerMetrics())
    yield made
    ensemble.gate.set()
    made.close()
    assert not made.is_alive()


def begin(photos, ensemble):
    """Queue a photo, wait until its batch has begun: what is queued then waits."""
    (first,) = photos.submit([b"\xff"], Wanted())
    assert ensemble.begun.acquire(timeout=60)
    return first


def shares(futures):
    return [{p.label: p.probability for p in future.result(60).predictions}["a"] for future in futures]


def test_what_waits_is_classified_in_batches_and_each_photo_has_its_own_answer(photos, ensemble):
    first = begin(photos, ensemble)
    others = photos.submit([b"\x00", b"\x33", b"\x66"], Wanted()) + photos.submit([b"\x99"], Wanted())
    assert photos.n_waiting() == 4
    ensemble.gate.set()
    assert shares([first, *others]) == [1.0, 0.0, 0.2, 0.4, 0.6]
    assert ensemble.batches == [[b"\xff"], [b"\x00", b"\x33"], [b"\x66", b"\x99"]]


def test_a_request_without_place_is_refused_as_a_whole(photos, ensemble):
    begin(photos, ensemble)
    photos.submit([b"\x00"] * 3, False)
    with pytest.raises(QueueFullError, match="try again in 1 s") as raised:
        photos.submit([b"\x00"] * 2, False)
    assert raised.value.seconds == 1 and photos.n_waiting() == 3
    photos.submit([b"\x00"], Wanted())


def test_photos_that_nobody_waits_for_are_not_classified(photos, ensemble):
    begin(photos, ensemble)
    given_up, kept = photos.submit([b"\x00", b"\x33"], Wanted())
    assert given_up.cancel()
    ensemble.gate.set()
    assert shares([kept]) == [0.2] and ensemble.batches[1:] == [[b"\x33"]]


def test_a_photo_that_makes_the_code_fail_fails_alone(photos, ensemble, caplog):
    begin(photos, ensemble)
    good, bad = photos.submit([b"\x33", b"fault"], Wanted())
    bad_first, good_last = photos.submit([b"fault", b"\x66"], Wanted())
    ensemble.gate.set()
    assert shares([good, good_last]) == [0.2, 0.4]
    for future in (bad, bad_first):
        answer = future.result(60)
        assert answer.reason == "internal_error" and answer.predictions == [] and "log" in answer.explanation
    assert "a fault of the code" in caplog.text
    assert photos.is_alive() and shares(photos.submit([b"\x99"], Wanted())) == [0.6]


def test_the_end_comes_after_what_waits(ensemble):
    photos = PhotoQueue(ensemble, no_heat_maps, ServingLimits(max_queue=4, wait_seconds=0), ServerMetrics())
    first = begin(photos, ensemble)
    others = photos.submit([b"\x00", b"\x33", b"\x66"], Wanted())
    closing = threading.Thread(target=photos.close)
    closing.start()
    ensemble.gate.set()
    closing.join(60)
    assert not photos.is_alive() and shares([first, *others]) == [1.0, 0.0, 0.2, 0.4]


def test_limits_hold_before_a_photo_is_decoded(photos, monkeypatch):
    monkeypatch.setattr(images, "decode_photo", None)
    small = SimpleNamespace(content=hostile.saved(hostile.picture(1, 10, 10), "png"))
    assert photos._read(small) == small.content
    photos._limits = ServingLimits(max_pixels=99)
    with pytest.raises(ImageError, match="too_large: 10 x 10 pixels, at most 99"):
        photos._read(small)
    photos._limits = ServingLimits(max_file_bytes=3)
    with pytest.raises(ImageError, match=r"too_large: \d+ bytes, at most 3"):
        photos._read(small)


def test_given_up_photos_take_no_place(photos, ensemble):
    begin(photos, ensemble)
    for given_up in photos.submit([b"\x00"] * 4, Wanted()):
        assert given_up.cancel()
    assert photos.n_waiting() == 0
    kept = photos.submit([b"\x33"] * 4, Wanted())
    ensemble.gate.set()
    assert shares(kept) == [0.2] * 4


def test_a_batch_has_the_pixels_of_one_photo_at_most(ensemble):
    limits = ServingLimits(max_queue=6, wait_seconds=0, max_pixels=100)
    made = PhotoQueue(ensemble, no_heat_maps, limits, ServerMetrics())
    first = begin(made, ensemble)
    large, small = (hostile.saved(hostile.picture(1, side, side), "png") for side in (10, 5))
    others = made.submit([large, large, small, small, b"no photo"], Wanted())
    ensemble.gate.set()
    assert len(shares([first, *others])) == 6
    assert ensemble.batches[1:] == [[large], [large], [small, small], [b"no photo"]]
    made.close()


def test_a_header_that_takes_long_keeps_no_request_waiting(ensemble, monkeypatch):
    reading, may_end = threading.Event(), threading.Event()

    def slow(_):
        reading.set()
        assert may_end.wait(60)
        return 1, 1

    monkeypatch.setattr(images, "header_size_wh", slow)
    made = PhotoQueue(ensemble, no_heat_maps, ServingLimits(max_queue=4, wait_seconds=0), ServerMetrics())
    ensemble.gate.set()
    first = made.submit([b"\xff"], Wanted())
    assert reading.wait(60)
    submission = threading.Thread(target=made.submit, args=([b"\x00"], Wanted()), daemon=True)
    submission.start()
    submission.join(10)
    is_waiting = submission.is_alive()
    may_end.set()
    assert not is_waiting and shares(first) == [1.0]
    made.close()
