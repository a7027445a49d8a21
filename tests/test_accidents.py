"""What machines do to a run: a full disk, a folder that is read-only, a worker that is killed, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import hostile

ROOT = Path(__file__).parent.parent
SAMPLE = "sample: {seed: 5, photos_per_class: 30, width: 320, height: 240, jpeg_quality: 90}\n"
INGEST = "seed: 1, val_share: 0.2, test_share: 0.2, near_duplicate_bits: 0, min_photos_per_class: 3"


def heed_ctrl_c():
    """What runs in the background of a shell is told to ignore it, and so are all its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(verb, **options):
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", f"stages.{verb}", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, preexec_fn=heed_ctrl_c, **pipes)


def ended(process):
    """Exit code and what stands on standard error but the progress bar."""
    told = process.communicate(timeout=120)[1]
    return process.returncode, told.replace("\r", "\n").rstrip("\n").split("\n")[-1], told


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def ingest(tmp_path, out):
    for number in range(6):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.saved(hostile.picture(number), "jpg"))
    (tmp_path / "params.yaml").write_text(f"ingest: {{source: {tmp_path / 'photos'}, {INGEST}}}\n")
    files = {"manifest": "m.csv", "classes": "c.txt", "metrics": "m.json", "details": "d.json", "class_counts": "n.csv"}
    return start("ingest", params=tmp_path / "params.yaml", **{name: out / path for name, path in files.items()})


def test_a_full_disk_leaves_nothing_half_written_and_the_same_command_goes_on(tmp_path, disk):
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2**21))
    code, last, told = ended(ingest(tmp_path, disk))
    assert code == 1 and last.startswith("ingest: [Errno 28] No space left on device") and "Traceback" not in told
    assert list(disk.iterdir()) == [filler]
    filler.unlink()
    assert ended(ingest(tmp_path, disk))[0] == ended(ingest(tmp_path, tmp_path))[0] == 0
    for name in ("m.csv", "c.txt", "m.json", "n.csv"):
        assert (disk / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_folder_that_is_read_only_is_named(tmp_path, disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, last, told = ended(ingest(tmp_path, disk))
    assert code == 1 and last.startswith("ingest: [Errno 30] Read-only file system") and "Traceback" not in told


def rendering(tmp_path):
    """The rendering of the sample by two processes, once the first photos are there."""
    (tmp_path / "params.yaml").write_text(SAMPLE)
    names = {"photos": "photos", "masks": "masks", "truth": "truth.csv"}
    process = start(
        "sample.render", params=tmp_path / "params.yaml", jobs=2, **{k: tmp_path / v for k, v in names.items()}
    )
    while process.poll() is None and not list((tmp_path / "photos").rglob("*.jpg")):
        time.sleep(0.05)
    return process


def children(pid):
    """The processes that work for `pid`, without the one that keeps count of what they share."""
    children = psutil.Process(pid).children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_a_worker_that_is_killed_ends_the_stage_with_one_line(tmp_path):
    process = rendering(tmp_path)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    code, last, told = ended(process)
    assert code == 1 and last.startswith("render: ") and "terminated abruptly" in last and "Traceback" not in told
    assert not (tmp_path / "truth.csv").exists()


def test_ctrl_c_ends_a_stage_and_its_workers_with_one_line(tmp_path):
    process = rendering(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    code, last, told = ended(process)
    assert code == 130 and last == "render: interrupted; run the same command again to continue"
    assert "Traceback" not in told and not (tmp_path / "truth.csv").exists()
