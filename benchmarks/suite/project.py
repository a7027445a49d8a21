"""A small project in a temporary folder, with a run of the stages up to what the measured parts read."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import yaml

from benchmarks.suite import dvc_stages, processes
from benchmarks.suite.dvc_stages import ROOT
from stages.schemas import corrections

_SUFFIXES = (".jpg", ".jpeg")
# Fewer photos of a class could leave a split without it.
_PER_CLASS = 8
Say = Callable[[str], None]


def choose_photos(folder: Path, count: int) -> list[Path]:
    """Up to `count` JPEG files below `folder`, as many from each of its folders, of which some may be left out.

    Raises FileNotFoundError if there is none.
    """
    by_class: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES:
            by_class.setdefault(path.parent, []).append(path)
    if not by_class:
        raise FileNotFoundError(f"{folder}: expected JPEG photos, found none")
    n_classes = max(2, count // _PER_CLASS)
    rows = zip_longest(*list(by_class.values())[:n_classes])
    return [path for path in chain.from_iterable(rows) if path is not None][:count]


def settings(content: dict[str, Any], reproducibility: str) -> dict[str, Any]:
    """The project's settings with what differs in a measurement: the photos, the arithmetic, models without training.

    All models have equal weights, so that prediction runs each of them.
    """
    changed = {name: dict(section) for name, section in content.items()}
    changed["runtime"] |= {"reproducibility": reproducibility, "engine": "local"}
    changed["ingest"] |= {"source": "photos", "layout": "auto", "root": None, "class_map": None, "unlabelled": None}
    changed["ingest"] |= {"near_duplicate_bits": 0, "folds": None, "min_photos_per_class": 1}
    changed["ensemble"] |= {"min_val": 1, "method": "equal"}
    changed["train"] |= {"unfreeze": "all", "epochs": 0}
    return changed


def write_settings(folder: Path, reproducibility: str, params: Path) -> None:
    """Write params.yaml to `folder` for this `reproducibility`."""
    content = yaml.safe_load(params.read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(settings(content, reproducibility), sort_keys=False))


def render_sample(say: Say) -> Path:
    """The folder of the project's own photos, rendered if missing."""
    folder = ROOT / "data" / "sample" / "photos"
    if not folder.is_dir():
        say("rendering the sample of photos, in a minute or two")
        command = [sys.executable, "-m", "dvc", "repro", "--quiet", "data/sample/dvc.yaml:render"]
        subprocess.run(command, cwd=ROOT, check=True, env=processes.environment(), stdout=sys.stderr)
    return folder


def keep_one_segmenter(folder: Path) -> None:
    """Leave the first segmenter in the settings: where masks are not measured, the others would cost time only."""
    path = folder / "params.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["segmenters"] = dict(list(content["segmenters"].items())[:1])
    content["mask"]["weights"] = dict.fromkeys(content["segmenters"], 1.0)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def create(folder: Path, photos: list[Path], params: Path) -> None:
    """Write photos, settings and links to the networks to the new folder `folder`."""
    for number, path in enumerate(photos):
        target = folder / "photos" / path.parent.name / f"{number:06d}_{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    write_settings(folder, "bits", params)
    corrections.write(folder / "data" / "corrections.csv", corrections.none())
    (folder / "models").mkdir()
    (folder / "models" / "pretrained").symlink_to(ROOT / "models" / "pretrained")


def run_stages(folder: Path, say: Say) -> None:
    """Run the stages up to the inputs of the models. Raises ContenderError with the reason if one fails."""
    segments = [("segment", name) for name in _section(folder, "segmenters")]
    resizes = [("resize", name) for name in _section(folder, "inputs")]
    before = [(name, "") for name in ("scan", "ingest", "detect", "crop")]
    _run(folder, [*before, *segments, ("mask", ""), *resizes], say, "stages up to resize")


def make_models(folder: Path, say: Say) -> None:
    """Run the stages that make an ensemble, and its bundle. Raises ContenderError with the reason if one fails."""
    each = [(stage, name) for name in _section(folder, "models") for stage in ("train", "evaluate")]
    _run(folder, [*each, ("ensemble", "")], say, "models with fitted heads, ensemble")
    say("preparing: bundle")
    _call(folder, [sys.executable, "-m", "stages.commands.bundle", "bundle"])


def _section(folder: Path, name: str) -> list[str]:
    return list(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))[name])


def _run(folder: Path, steps: list[tuple[str, str]], say: Say, title: str) -> None:
    say(f"preparing: {title}")
    words = [f"{name}:{key}" for name, key in steps]
    _call(folder, [sys.executable, "-m", "benchmarks.suite.project", *words])


def _call(folder: Path, command: list[str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=processes.environment(), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise processes.ContenderError(processes.last_line(done.stderr))


def copy(project: Path, folder: Path, reproducibility: str) -> None:
    """Copy the project to `folder` for one process, so that processes do not write each other's files."""
    shutil.copytree(project, folder, symlinks=True)
    write_settings(folder, reproducibility, project / "params.yaml")


if __name__ == "__main__":
    for _word in sys.argv[1:]:
        dvc_stages.run(*_word.split(":"))
