"""Files per second from a folder, a zip, a tar and a local S3 server: listing, versions, loading, loading and decoding.

The files are small JPEGs. The S3 server is moto's, a Python program that takes a processor of its own.
"""

import argparse
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd

from benchmarks import timing
from stages.core.batches import ordered_thread_map
from stages.images import images, letterbox
from stages.images.images import ImageError
from stages.ingest import duplicates
from stages.sources.store import Store, load_many, open_store

_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
_AHEAD = 32


def write_photos(folder: Path, count: int, side: int) -> None:
    """Write smooth random JPEGs of `side` x 3/4 `side` pixels into ten class folders."""
    for number in range(count):
        small = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        path = folder / f"class {number % 10}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode(letterbox.resize(small, side, side * 3 // 4), ".jpg"))


def pack(folder: Path) -> None:
    """Write the photos of a folder into a zip and a tar beside it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(f"{folder}.zip", "w", zipfile.ZIP_DEFLATED) as file, tarfile.open(f"{folder}.tar", "w") as tar:
        for path in paths:
            file.write(path, path.relative_to(folder))
            tar.add(path, path.relative_to(folder))


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Yield the URL of the photos of a folder on a local S3 server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(_KEYS, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    words = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, time.monotonic() + 60)
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.mkdir("cars")
        files.put(f"{folder}/", "cars/photos/", recursive=True)
        yield "s3://cars/photos"
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int, deadline: float) -> None:
    """Wait until something answers at a port of this machine; raises TimeoutError."""
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"expected an S3 server at port {port} within a minute, found none")


def load_all(store: Store, paths: Iterable[str]) -> Iterator[bytes]:
    """Load files as ingest does from a disk, or ahead of it from a bucket."""
    if store.root.startswith("s3://"):
        loaded: Iterable[tuple[str, bytes | ImageError]] = load_many(store, ((path, None) for path in paths))
    else:
        loaded = ordered_thread_map(store.load, paths, _AHEAD)
    for _, content in loaded:
        if isinstance(content, ImageError):
            raise content
        yield content


def inspect(content: bytes) -> str:
    """What ingest does with the bytes of a photo."""
    photo = images.decode_photo(content, images.at_least(duplicates.MIN_SIDE))
    return images.image_id(content) + duplicates.perceptual_hash(photo.image)


def rate(count: int, work: Callable[[], object]) -> float:
    """Files per second."""
    return count / timing.stopwatch(work)()


def measure(source: str, count: int, cache: Path) -> dict[str, float]:
    """Files per second of each step; the store is opened anew for versions that are kept."""
    store = open_store(source, cache)
    paths = [path for path, _ in store.list_files()]
    if len(paths) != count:
        raise ValueError(f"{source}: expected {count} files, found {len(paths)}")

    def versions(store: Store) -> Callable[[], object]:
        return lambda: list(ordered_thread_map(store.version, paths, _AHEAD))

    found = {"listing": rate(count, store.list_files), "versions": rate(count, versions(store))}
    # The store writes the hashes that are kept when it goes.
    del store
    store = open_store(source, cache)
    store.list_files()
    return {
        **found,
        "versions, kept": rate(count, versions(store)),
        "loading": rate(count, lambda: sum(map(len, load_all(store, paths)))),
        "loading, decoding": rate(count, lambda: list(ordered_thread_map(inspect, load_all(store, paths), _AHEAD))),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--side", type=int, default=640, help="longer side of the photos, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "photos")
        write_photos(folder, arguments.count, arguments.side)
        pack(folder)
        # Hashes of files changed within the last two seconds are not kept.
        time.sleep(3)
        with s3_server(folder) as url:
            sources = {"folder": f"{folder}", "zip": f"{folder}.zip", "tar": f"{folder}.tar", "S3": url}
            rounds = [
                pd.DataFrame(
                    {
                        key: measure(source, arguments.count, Path(name, f"{key}-{number}.sqlite"))
                        for key, source in sources.items()
                    }
                )
                for number in range(arguments.rounds)
            ]
    timing.show(pd.concat(rounds).groupby(level=0, sort=False).median().T, "files per second, median of rounds")


if __name__ == "__main__":
    main()
