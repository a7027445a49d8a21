"""Accidents during a run: a full disk, a read-only folder, a killed worker, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stages.schemas import corrections
from tests import hostile

ROOT = Path(__file__).parent.parent
SAMPLE = "sample: {seed: 5, photos_per_class: 30, width: 320, height: 240, jpeg_quality: 90}\n"
INGEST = "seed: 1, val_share: 0.2, test_share: 0.2, near_duplicate_bits: 0, min_photos_per_class: 3"


def restore_sigint():
    """React to Ctrl-C: background processes of a shell, and their children, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(verb, **options):
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", f"stages.{verb}", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, preexec_fn=restore_sigint, **pipes)


def result_of(process):
    """The exit code, the last line of standard error, and all of it."""
    error = process.communicate(timeout=120)[1]
    return process.returncode, error.replace("\r", "\n").rstrip("\n").split("\n")[-1], error


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def ingest(tmp_path, out):
    for number in range(6):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hostile.saved(hostile.picture(number), "jpg"))
    (tmp_path / "params.yaml").write_text(f"ingest: {{source: {tmp_path / 'photos'}, {INGEST}}}\n")
    common = {"params": tmp_path / "params.yaml", "files": tmp_path / "files.csv"}
    code, _, error = result_of(start("scan", **common, cache=tmp_path / "hashes", details=tmp_path / "scan.json"))
    assert code == 0, error
    files = {"manifest": "m.csv", "classes": "c.txt", "metrics": "m.json", "details": "d.json", "class_counts": "n.csv"}
    files |= {"leaks": "l.csv", "shards": "s.json"}
    common |= {"cache": tmp_path / "inspections", "corrections": tmp_path / "corrections.csv"}
    corrections.write(common["corrections"], corrections.none())
    return start("ingest", **common, **{name: out / path for name, path in files.items()})


def test_a_full_disk_leaves_no_partial_file_and_the_same_command_continues(tmp_path, disk):
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2**21))
    code, last, error = result_of(ingest(tmp_path, disk))
    assert code == 1 and last.startswith("ingest: [Errno 28] No space left on device") and "Traceback" not in error
    assert list(disk.iterdir()) == [filler]
    filler.unlink()
    assert result_of(ingest(tmp_path, disk))[0] == result_of(ingest(tmp_path, tmp_path))[0] == 0
    for name in ("m.csv", "c.txt", "m.json", "n.csv"):
        assert (disk / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_read_only_folder_is_one_line(tmp_path, disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, last, error = result_of(ingest(tmp_path, disk))
    assert code == 1 and last.startswith("ingest: [Errno 30] Read-only file system") and "Traceback" not in error


def start_rendering(tmp_path):
    """Start to render the sample with two workers, and wait for the first photos."""
    (tmp_path / "params.yaml").write_text(SAMPLE)
    names = {"photos": "photos", "masks": "masks", "truth": "truth.csv"}
    process = start(
        "sample.render", params=tmp_path / "params.yaml", jobs=2, **{k: tmp_path / v for k, v in names.items()}
    )
    while process.poll() is None and not list((tmp_path / "photos").rglob("*.jpg")):
        time.sleep(0.05)
    return process


def workers(pid):
    """The worker processes of `pid`, without the resource tracker of multiprocessing."""
    return [child.pid for child in psutil.Process(pid).children() if "spawn_main" in " ".join(child.cmdline())]


def test_a_killed_worker_ends_the_stage_with_one_line(tmp_path):
    process = start_rendering(tmp_path)
    os.kill(workers(process.pid)[0], signal.SIGKILL)
    code, last, error = result_of(process)
    assert code == 1 and last.startswith("render: ") and "terminated abruptly" in last and "Traceback" not in error
    assert not (tmp_path / "truth.csv").exists()


def test_ctrl_c_ends_a_stage_and_its_workers_with_one_line(tmp_path):
    process = start_rendering(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    code, last, error = result_of(process)
    assert code == 130 and last == "render: interrupted; run the same command again"
    assert "Traceback" not in error and not (tmp_path / "truth.csv").exists()
