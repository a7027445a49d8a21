"""Prediction on the workers of a Ray cluster, with the results of `Ensemble.predict`.

A worker takes chunks of photos from the file to the probabilities, so the driver decodes and computes nothing.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.commands.trained_ensemble import Ensemble, EnsembleFiles, PhotoResult
from stages.core import batches
from stages.images import images
from stages.images.images import ImageError
from stages.networks.cluster import Cluster, Item, Job

_AHEAD = 64


class PhotoFile(NamedTuple):
    """A photo for a worker: the path as the user gave it, and as the worker finds it.

    Of a photo that is sent, `content` has the bytes, or `error` the reason and detail of why it cannot be read.
    """

    path: str
    place: str
    content: bytes | None = None
    error: tuple[str, str] | None = None


def predict(
    cluster: Cluster, paths: list[Path], files: EnsembleFiles, chunk_size: int, is_sent: bool
) -> Iterator[tuple[int, PhotoResult]]:
    """Yield number and result of every photo, in any order.

    With `is_sent` this process reads the photos, else the workers do, by the same absolute paths. A photo that kills
    its worker has the reason `worker_died`. Raises ClusterError, and UserError for a file that the ensemble lacks.
    """
    read = batches.ordered_thread_map(partial(photo_file, is_sent), paths, _AHEAD)
    items = (Item(str(number), photo) for number, (_, photo) in enumerate(read))
    names = files.names()
    files.require(names)
    job = Job("predict", files.folder, names, partial(_load, files), run_chunk)
    for result in cluster.run(job, items, chunk_size):
        if result.output is None:
            note = f"{result.reason}: the photo ends each process of the cluster that gets it"
            yield int(result.key), PhotoResult(None, note)
        else:
            probabilities, note = json.loads(result.output)
            yield int(result.key), PhotoResult(None if probabilities is None else np.array(probabilities), note)


def photo_file(is_sent: bool, path: Path) -> PhotoFile:
    """The photo at `path` for a worker, with its bytes if they are sent."""
    photo = PhotoFile(str(path), str(path.absolute()))
    if not is_sent:
        return photo
    try:
        return photo._replace(content=images.load(path))
    except ImageError as error:
        return photo._replace(error=(error.reason, error.detail))


# What follows runs in the workers.


def read_photo(photo: PhotoFile) -> bytes:
    """The bytes of a photo. Raises ImageError with the text that it has where the photo is read by its own path."""
    if photo.error is not None:
        raise ImageError(*photo.error)
    if photo.content is not None:
        return photo.content
    try:
        return images.load(Path(photo.place))
    except ImageError as error:
        raise ImageError(error.reason, error.detail.replace(photo.place, photo.path, 1)) from None


def run_chunk(ensemble: Ensemble, items: list[Item]) -> list[tuple[str, bytes]]:
    """The results of a chunk of photos by key, as JSON: numbers keep all their digits."""
    results = ensemble.predict([item.content for item in items], read_photo)
    return [
        (item.key, json.dumps((None if values is None else values.tolist(), note)).encode())
        for item, (values, note) in zip(items, results)
    ]


def _load(files: EnsembleFiles, folder: Path) -> Ensemble:
    return files._replace(folder=folder).load()
