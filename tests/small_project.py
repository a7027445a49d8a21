"""A small project with the whole pipeline and a few rendered photos, for tests that need all of it."""

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from stages.core import command
from stages.sample.renderer import sample
from stages.sample.renderer.sample import RenderTask
from stages.sample.settings import SampleSettings
from stages.schemas import corrections

ROOT = Path(__file__).parent.parent
NETWORKS = ("centernet_mobilenetv3.onnx", "u2netp_int8.onnx", "efficientnet_lite0.npz")
PER_CLASS = 6
UNLABELLED = "unlabelled"


def render_photos(folder: Path) -> None:
    """Render six photos each of three body types, at half the width and height, and write three unusable files."""
    settings = SampleSettings(seed=3, photos_per_class=PER_CLASS, width=320, height=240, jpeg_quality=92)
    for label in ("compact", "pickup", "van"):
        for number in range(1, PER_CLASS + 1):
            rendered = sample.make(RenderTask(label, number, None), settings)
            path = folder / rendered.task.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rendered.photo)
    content = (folder / "van" / "van_001.jpg").read_bytes()
    (folder / "van" / "half of 'it' ü.jpg").write_bytes(content[: len(content) // 2])
    (folder / "van" / "nothing.jpg").write_bytes(b"")
    (folder / "van" / "again.jpg").write_bytes(content)


def render_unlabelled(folder: Path, photos: Path) -> None:
    """Write photos to predict: a new one, a damaged one, a copy of a labelled one, and a file that is no photo."""
    settings = SampleSettings(seed=3, photos_per_class=PER_CLASS, width=320, height=240, jpeg_quality=92)
    (folder / "more").mkdir(parents=True)
    content = sample.make(RenderTask("pickup", PER_CLASS + 1, None), settings).photo
    (folder / "more" / "new.jpg").write_bytes(content)
    (folder / "broken.jpg").write_bytes(content[: len(content) // 2])
    shutil.copy(photos / "van" / "van_003.jpg", folder / "copy.jpg")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3000))


def write_params(folder: Path, photos: str) -> None:
    """Write the project's own parameters with one small model, trained for one epoch."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["ingest"] |= {"source": photos, "unlabelled": UNLABELLED, "near_duplicate_bits": 0}
    content["ingest"] |= {"val_share": 0.34, "test_share": 0.34}
    tiny = {"backbone": "efficientnet_lite0", "weights": NETWORKS[-1], "input_px": 64}
    content["models"] = {"tiny": tiny | {"input": "removed"}, "other": tiny | {"input": "kept", "epochs": 0}}
    removed = content["inputs"]["removed"]
    content["inputs"] = {"removed": removed, "kept": removed | {"background": "keep"}, "unused": removed}
    content["train"]["epochs"] = 1
    content["ensemble"]["min_val"] = 1
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def environment() -> dict[str, str]:
    """The variables of this process, with its interpreter first on the path."""
    return command.environment() | {"PYTHONDONTWRITEBYTECODE": "1"}


def run(folder: Path, *words: str) -> str:
    """Run a command in `folder` with this interpreter first on the path; return its standard output."""
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def missing_network() -> str | None:
    """The first missing network; None if there is none."""
    return next((name for name in NETWORKS if not (ROOT / "models" / "pretrained" / name).is_file()), None)


def make(folder: Path, photos: str = "photos") -> None:
    """Create the project in `folder`, with its photos in the folder `photos`, ready for `dvc repro`."""
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "metrics").mkdir()
    for name in ("dvc.yaml", ".dvcignore", "metrics/advice.json"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "models" / "pretrained").mkdir(parents=True)
    for name in NETWORKS:
        shutil.copy(ROOT / "models" / "pretrained" / name, folder / "models" / "pretrained")
    render_photos(folder / photos)
    render_unlabelled(folder / UNLABELLED, folder / photos)
    write_params(folder, photos)
    corrections.write(folder / "data" / "corrections.csv", corrections.none())
    (folder / ".gitignore").write_text("/logs/\n__pycache__/\n")
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "config", "core.analytics", "false"]):
        run(folder, *words)
    run(folder, "dvc", "add", "-q", photos, UNLABELLED, *(f"models/pretrained/{name}" for name in NETWORKS))
    commit(folder, "start")


def started_stages(output: str) -> list[str]:
    """The stages that a run started, from what DVC printed."""
    return re.findall(r"Running stage '([^']+)'", output)


def always_run(folder: Path) -> list[str]:
    """The stages that DVC runs every time, of the pipeline in `folder`."""
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    return [name for name, stage in stages.items() if stage.get("always_changed")]


def commit(folder: Path, message: str) -> None:
    """Commit all files that git does not ignore."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=test", "-c", "user.email=test@example.invalid", "commit", "-q", "-m", message)


def add_remote(folder: Path, url: str, endpoint: str | None = None) -> None:
    """Make `url` the default remote of the project in `folder`."""
    run(folder, "dvc", "remote", "add", "-d", "store", url)
    if endpoint:
        run(folder, "dvc", "remote", "modify", "store", "endpointurl", endpoint)
    commit(folder, "remote")


def check_on_another_machine(first: Path, second: Path) -> None:
    """Push from the first folder, clone it, pull: the clone must have the same files, and nothing to do.

    Of its stages `dvc repro` runs those that it always runs, and no other.
    """
    run(first, "dvc", "push", "-q")
    run(first.parent, "git", "clone", "-q", str(first), str(second))
    assert not (second / "out").exists()
    run(second, "dvc", "pull", "-q")
    stages = yaml.safe_load((first / "dvc.lock").read_text())["stages"].values()
    outs = [first / out["path"] for stage in stages for out in stage.get("outs", [])]
    files = [file for out in outs for file in (out, *out.rglob("*")) if file.is_file()]
    assert len(files) >= 3
    for file in files:
        assert (second / file.relative_to(first)).read_bytes() == file.read_bytes(), file
    assert started_stages(run(second, "dvc", "repro")) == always_run(second)
    assert run(second, "git", "status", "--porcelain", "--untracked-files=no") == ""
