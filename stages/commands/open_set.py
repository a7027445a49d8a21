"""Leave each class out of training, and score how its photos are told apart.

For every score, and the mean of `novelty.scores`: AUROC, and FPR95, the share of photos of left-out classes that are
accepted where 95 % of those of known classes are. Detection, crops, masks and splits are those of the last `dvc repro`.
Outputs are kept in logs/open_set, so an interrupted run continues. With `--quick` networks stay as pretrained and only
their heads are fitted, in a minute.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from dvc.utils.hydra import apply_overrides
from threadpoolctl import threadpool_limits

from stages.classifiers import runtime
from stages.commands import open_set_scores, run_settings, unknown_photos
from stages.commands.left_out_classes import LabelledPhotos, Networks
from stages.core import atomic, command, progress, settings, tables
from stages.core.errors import UserError
from stages.core.runtime_settings import RuntimeSettings
from stages.images.settings import input_names
from stages.novelty.settings import NoveltySettings

_PARAMS, _WORK = Path("params.yaml"), Path("logs/open_set")
# What else bears on the inputs of the models, which are not made again.
_SECTIONS = ("train", "models", "novelty", "runtime")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to leave out; default: each")
    parser.add_argument(
        "--together", type=int, default=1, metavar="N", help="classes left out of a training; default: 1"
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="default: all of params.yaml")
    parser.add_argument(
        "--unknown", type=Path, metavar="FOLDER", help="instead, photos of no class, for the networks of `dvc repro`"
    )
    parser.add_argument("--quick", action="store_true", help="fit heads to pretrained networks, train none")
    parser.add_argument(
        "-S",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another parameter, such as train.epochs=5",
    )
    parser.add_argument("--out", type=Path, default=Path("metrics/open_set"), help="folder; default: metrics/open_set")
    args = parser.parse_args()
    if args.together < 1:
        parser.error(f"--together: expected 1 or more, found {args.together}")
    return args


def write_params(source: Path, overrides: list[str], out: Path) -> None:
    """Write params.yaml with other values. Raises UserError for those of sections that the inputs depend on."""
    for override in overrides:
        section = override.lstrip("+~").partition(".")[0]
        if section not in _SECTIONS:
            raise UserError(
                f"--set {override}: expected a parameter of {', '.join(_SECTIONS)}, found one of `{section}`; set it "
                "in params.yaml and run `dvc repro`"
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, out)
    apply_overrides(out, overrides)


def chosen(names: list[str] | None, known: list[str], option: str) -> list[str]:
    """The names of the command line, or all. Raises UserError for one that is not known."""
    for name in names or ():
        if name not in known:
            raise UserError(f"{option}: expected names of {', '.join(known)}, found `{name}`")
    return names or known


def class_groups(left_out: list[str], classes: list[str], together: int) -> list[list[int]]:
    """The numbers of the classes of each training's left-out group. Raises UserError if fewer than two are left."""
    if len(classes) - min(together, len(left_out)) < 2:
        raise UserError(
            f"--together {together}: expected two known classes or more, of {len(classes)}; leave out fewer"
        )
    numbers = [classes.index(name) for name in left_out]
    return [numbers[start : start + together] for start in range(0, len(numbers), together)]


def print_changed_settings(params: Path, lock: Path, is_trained: bool) -> None:
    """Print a line where `params` has other settings than the last run, whose inputs of models are used.

    `is_trained`: its models are used, too. Those that are trained here take their settings from `params`.
    """
    inputs = input_names(params)
    made = run_settings.stages_of(inputs, "models") if is_trained else run_settings.stages_before(inputs.values())
    run_settings.print_changes("open_set", params, lock, {"ingest", *made}, "the run whose results are used")


def score_left_out(args: argparse.Namespace, data: LabelledPhotos, params: Path) -> list[dict[str, Any]]:
    """The rows of all classes that are left out; networks that are missing are made."""
    rule = settings.read(params, "novelty", NoveltySettings)
    models = chosen(args.models, list(settings.load(params)["models"]), "--models")
    groups = class_groups(chosen(args.classes, data.classes, "--classes"), data.classes, args.together)
    if args.quick:
        runtime.configure(0, settings.read(params, "runtime", RuntimeSettings).n_threads)
    networks, rows = Networks(_WORK, params, args.quick), list[dict[str, Any]]()
    for left_out in progress.track(groups, len(groups), "group", "open_set"):
        known = [number for number in range(len(data.classes)) if number not in left_out]
        outputs = {name: networks.outputs(name, data, known) for name in models}
        # Matrices are small, and threads that wait for each other beside other work take many times as long.
        with threadpool_limits(1, user_api="blas"):
            rows += open_set_scores.score(outputs, data, left_out, rule)
    return rows


def score_unknown(folder: Path, data: LabelledPhotos, params: Path) -> list[dict[str, Any]]:
    """The rows of the photos of a folder."""
    outputs, extended = unknown_photos.with_unknown(folder, data)
    return open_set_scores.score(
        outputs, extended, [len(data.classes)], settings.read(params, "novelty", NoveltySettings)
    )


def main() -> None:
    """Score, print and write the tables."""
    args = arguments()
    params, data = _WORK / "params.yaml", LabelledPhotos.read()
    print_changed_settings(_PARAMS, _PARAMS.with_name("dvc.lock"), args.unknown is not None)
    write_params(_PARAMS, args.set, params)
    rows = score_unknown(args.unknown, data, params) if args.unknown else score_left_out(args, data, params)
    table = open_set_scores.table(rows)
    summary = open_set_scores.summary(table)
    tables.write(args.out / "classes.csv", table)
    options = {name: getattr(args, name) for name in ("models", "together", "quick", "set")}
    atomic.write_json(args.out / "open_set.json", {**options, "unknown": str(args.unknown or ""), "scores": summary})
    print(open_set_scores.text(summary))
    progress.summary("open_set", left_out=table["left_out"].nunique(), scores=len(summary))


if __name__ == "__main__":
    command.run(main)
