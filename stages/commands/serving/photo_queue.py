"""The photos that wait for the networks, and the one thread that runs these on batches of them."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import NamedTuple

from stages.commands.ensemble_heat_maps import EnsembleHeatMaps, PredictedPhoto
from stages.commands.inference_pipeline import ModelInputs
from stages.commands.serving import responses
from stages.commands.serving.limits import ServingLimits
from stages.commands.serving.monitoring import ServerMetrics
from stages.commands.serving.responses import PhotoResponse
from stages.commands.trained_ensemble import Ensemble
from stages.core.errors import UserError
from stages.images import images
from stages.images.errors import ImageError

_LOG = logging.getLogger(__name__)
# In pixels: a picture has some 100 KB then.
_HEAT_MAP_SIDE = 320


class QueueFullError(UserError):
    """The queue has no place for these photos; it may have in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"expected a place in the queue, found it full; try again in {seconds} s")
        self.seconds = seconds


class Wanted(NamedTuple):
    """What a response also has: the inputs of the models, a heat map."""

    inputs: bool = False
    heat_map: bool = False


class WaitingPhoto(NamedTuple):
    """A photo's bytes, the future of its response, and what the response also has."""

    content: bytes
    response: Future[PhotoResponse]
    wanted: Wanted


class PhotoQueue:
    """A bounded queue of photos before the one thread that owns the networks.

    The thread takes what waits, up to the batch size of the ensemble, and waits shortly for more. The response of a
    photo does not depend on the others of its batch.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        load_heat_maps: Callable[[], EnsembleHeatMaps],
        limits: ServingLimits,
        metrics: ServerMetrics,
    ) -> None:
        self._ensemble, self._limits, self._metrics = ensemble, limits, metrics
        self._load_heat_maps = load_heat_maps
        self._batch_size = ensemble.preprocessor.settings.detect.inference.batch_size
        self._waiting: deque[WaitingPhoto] = deque()
        self._changed, self._is_closing = threading.Condition(), False
        self._seconds_per_photo = 0.1
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)
        metrics.waiting.set_function(self.n_waiting)
        self._thread.start()

    def submit(self, contents: list[bytes], wanted: Wanted) -> list[Future[PhotoResponse]]:
        """Queue all photos of a request, or none; return the future responses, in order. Raises QueueFullError."""
        with self._changed:
            n_waiting = self.n_waiting()
            if n_waiting + len(contents) > self._limits.max_queue:
                raise QueueFullError(max(1, round(n_waiting * self._seconds_per_photo)))
            photos = [WaitingPhoto(content, Future(), wanted) for content in contents]
            self._waiting.extend(photos)
            self._changed.notify()
        return [photo.response for photo in photos]

    def n_waiting(self) -> int:
        """The number of photos that wait; those whose callers no longer do are dropped, with their bytes."""
        with self._changed:
            kept = [photo for photo in self._waiting if not photo.response.cancelled()]
            self._waiting = deque(kept)
            return len(kept)

    def is_alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while self._wait(None):
            if batch := self._take():
                self._metrics.batch_photos.observe(len(batch))
                started = time.monotonic()
                self._run(batch)
                self._seconds_per_photo = (time.monotonic() - started) / len(batch)

    def _wait(self, seconds: float | None) -> bool:
        """Wait for a photo, at most `seconds`, or for the end; return whether a photo waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing, seconds)
            return bool(self._waiting)

    def _take(self) -> list[WaitingPhoto]:
        """The next batch: what waits, or comes soon; together it has no more pixels than one photo may have.

        So a batch takes not much longer than one photo, and what has waited too long by then is not begun.
        """
        batch: list[WaitingPhoto] = []
        n_pixels, deadline = 0, time.monotonic() + self._limits.wait_seconds
        while len(batch) < self._batch_size and (photo := self._next(deadline)) is not None:
            # Without the lock: a hostile header takes seconds, in which requests must not wait for it.
            n_pixels += self._n_pixels(photo)
            if batch and n_pixels > self._limits.max_pixels:
                with self._changed:
                    self._waiting.appendleft(photo)
                break
            if photo.response.set_running_or_notify_cancel():
                batch.append(photo)
        return batch

    def _next(self, deadline: float) -> WaitingPhoto | None:
        """The first photo that waits, or comes before the deadline; else None."""
        with self._changed:
            return self._waiting.popleft() if self._wait(max(0.0, deadline - time.monotonic())) else None

    def _n_pixels(self, photo: WaitingPhoto) -> int:
        """The pixels that are decoded for a photo, by its header."""
        try:
            width, height = images.header_size_wh(self._read(photo))
        except ImageError:
            return 0
        return width * height

    def _run(self, batch: list[WaitingPhoto]) -> None:
        """Predict the photos of a batch; where one makes the code fail, each by itself: its neighbours have theirs."""
        try:
            self._predict(batch)
        except Exception:
            if len(batch) == 1:
                _LOG.exception("a photo made the server fail")
                batch[0].response.set_result(responses.failure())
                return
            for photo in batch:
                if not photo.response.done():
                    self._run([photo])

    def _predict(self, batch: list[WaitingPhoto]) -> None:
        results = self._ensemble.predict_with_inputs(batch, self._read)
        for photo, (result, made) in zip(batch, results):
            response = responses.photo_response(result, made, self._ensemble.classes, photo.wanted.inputs)
            if photo.wanted.heat_map and result.probabilities is not None:
                heat_map = self._draw(photo, made, int(result.probabilities.argmax()))
                response = response.model_copy(update={"heat_map": heat_map})
            photo.response.set_result(response)

    def _draw(self, photo: WaitingPhoto, made: ModelInputs, predicted: int) -> str | None:
        """The heat map of a photo for its response."""
        shown = [PredictedPhoto(made, predicted)]
        (picture,) = self._heat_maps.draw(shown, [lambda: photo.content], _HEAT_MAP_SIDE)
        return responses.png_url(picture)

    @cached_property
    def _heat_maps(self) -> EnsembleHeatMaps:
        """Made at the first photo that wants one: few servers need it."""
        return self._load_heat_maps()

    def _read(self, photo: WaitingPhoto) -> bytes:
        """The bytes of a photo. Raises ImageError `too_large` by their number or by the pixels of the header."""
        n_bytes, limits = len(photo.content), self._limits
        if n_bytes > limits.max_file_bytes:
            raise ImageError("too_large", f"{n_bytes} bytes, at most {limits.max_file_bytes}")
        width, height = images.header_size_wh(photo.content)
        if width * height > limits.max_pixels:
            raise ImageError("too_large", f"{width} x {height} pixels, at most {limits.max_pixels}")
        return photo.content
