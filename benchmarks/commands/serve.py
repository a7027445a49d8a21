"""The server of a bundle: seconds of one photo at rest, photos per second with clients beside a plain loop, memory.

The plain loop is `Ensemble.predict` on the same photos in this process. Both take turns, round by round. The server
and its clients share the machine, and speak over loopback.
"""

import argparse
import contextlib
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import timing
from stages.commands import trained_ensemble
from stages.core import command, progress

_HEAD = b'--x\r\ncontent-disposition: form-data; name="files"; filename="photo"\r\n\r\n'
_TYPE = {"content-type": "multipart/form-data; boundary=x"}
_IN_A_ROUND = 50


class LocalServer:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process, self._port = process, port

    def predict(self, photo: bytes) -> float:
        """Send a photo; return the seconds to its response. Raises RuntimeError for another status than 200."""
        started = time.perf_counter()
        with contextlib.closing(HTTPConnection("127.0.0.1", self._port, timeout=120)) as connection:
            connection.request("POST", "/v1/predict", _HEAD + photo + b"\r\n--x--\r\n", _TYPE)
            response = connection.getresponse()
            content = response.read()
        if response.status != 200:
            raise RuntimeError(f"expected the status 200, found {response.status}: {content!r}")
        return time.perf_counter() - started

    def memory_mib(self, name: str) -> int:
        """`VmRSS`, the memory in use, or `VmHWM`, its highest, of the server's process."""
        text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        found = re.search(rf"{name}:\s+(\d+) kB", text)
        return int(found[1]) // 1024 if found else 0


@contextlib.contextmanager
def serving(bundle: Path) -> Iterator[LocalServer]:
    """Start the server, and stop it at the end."""
    words = [sys.executable, "-m", "stages", "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r":(\d+); Ctrl-C", process.stdout.readline() if process.stdout else "")
            if found is None:
                raise RuntimeError("expected the server to start; its error is above")
            yield LocalServer(process, int(found[1]))
        finally:
            process.terminate()
            process.communicate()  # its last line


def at_rest(server: LocalServer, photos: list[bytes]) -> pd.DataFrame:
    """Seconds to the response for one photo at a time."""
    seconds = [server.predict(photo) for photo in photos]
    return pd.DataFrame({"p50 s": [np.quantile(seconds, 0.5)], "p95 s": [np.quantile(seconds, 0.95)]}, ["one photo"])


def memory(server: LocalServer, photos: list[bytes], n_clients: int, count: int) -> pd.DataFrame:
    """Memory in MiB before and after `count` photos by `n_clients`, and its highest."""
    before, some = server.memory_mib("VmRSS"), list(itertools.islice(itertools.cycle(photos), count))
    with ThreadPoolExecutor(n_clients) as pool:
        for _ in progress.track(pool.map(server.predict, some), count, "photo", "serve"):
            pass
    columns = {"before": [before], "after": [server.memory_mib("VmRSS")], "highest": [server.memory_mib("VmHWM")]}
    return pd.DataFrame(columns, [f"{count} photos"])


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, JPEG files")
    parser.add_argument("--clients", type=int, default=8, help="default: 8")
    parser.add_argument("--photos", type=int, default=2000, help="of the measurement of memory; default: 2000")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    args = parser.parse_args()
    files = sorted(args.folder.rglob("*.jpg"))
    contents = [path.read_bytes() for path in itertools.islice(itertools.cycle(files), _IN_A_ROUND)]
    ensemble = trained_ensemble.of_bundle(args.bundle).load()
    with serving(args.bundle) as server, ThreadPoolExecutor(args.clients) as pool:
        names = {"loop": "loop without a server", "served": f"server, {args.clients} clients"}
        contenders = {
            names["loop"]: timing.stopwatch(lambda: list(ensemble.predict(contents, lambda content: content))),
            names["served"]: timing.stopwatch(lambda: list(pool.map(server.predict, contents))),
        }
        timing.show(at_rest(server, contents), "Seconds of one photo at rest")
        seconds = timing.interleaved(contenders, args.rounds)
        timing.show(timing.compare(seconds, len(contents), names["loop"]), "Seconds per photo")
        timing.show(memory(server, contents, args.clients, args.photos), "Memory of the server in MiB")


if __name__ == "__main__":
    command.run(main)
