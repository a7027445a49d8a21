"""Questions put to the pipeline as experiments: every arm of a grid with every seed, the rest left as it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from stages.core import params

_NAME = params.Matching(r"[a-z0-9_]+")

Override = Annotated[str, params.Matching(r"[\w.]+=.*")]
Seed = Annotated[int, params.Range(0, 2**31 - 1)]


@dataclass(frozen=True)
class Grid:
    """One file of `experiments/`.

    `arms` holds by name the `parameter=value` overrides of each arm, `common` those of all arms that do not set the
    same parameter. Every arm is run up to the DVC stage `target` with every one of `seeds` as `train.seed`, and judged
    by the test photos of the table `predictions` against the arm `baseline`.
    """

    question: str
    target: str
    predictions: str
    baseline: str
    seeds: tuple[Seed, ...]
    common: tuple[Override, ...]
    arms: dict[str, tuple[Override, ...]]


@dataclass(frozen=True)
class Run:
    """One DVC experiment: its name, the arm and seed that it belongs to, and its overrides in DVC's notation."""

    name: str
    arm: str
    seed: int
    overrides: tuple[str, ...]


def read(path: Path) -> Grid:
    """Read a grid. Raises ParamError naming the file, what was expected and what was found."""
    try:
        grid = params.build(params.load(path), Grid, "grid")
    except params.ParamError as error:
        raise params.ParamError(f"{path}: {error}") from None
    if grid.baseline not in grid.arms:
        raise params.ParamError(f"{path}: expected the baseline among {', '.join(grid.arms)}, found {grid.baseline!r}")
    if not grid.seeds or len(set(grid.seeds)) < len(grid.seeds):
        raise params.ParamError(f"{path}: expected one seed or more, all different, found {list(grid.seeds)}")
    for arm, overrides in grid.arms.items():
        _NAME.check(f"{path}: arms", arm)
        _require_each_once(f"{path}: arms.{arm}", overrides)
    _require_each_once(f"{path}: common", grid.common)
    return grid


def _require_each_once(name: str, overrides: tuple[str, ...]) -> None:
    keys = [_key(override) for override in overrides]
    for key in keys:
        if keys.count(key) > 1 or key == "train.seed":
            found = "that the grid's seeds set" if key == "train.seed" else "twice"
            raise params.ParamError(f"{name}: expected every parameter once, found {key} {found}")


def _key(override: str) -> str:
    return override.partition("=")[0]


def runs(name: str, grid: Grid) -> list[Run]:
    """All runs of the grid called `name`, the first seed of every arm before any second one.

    So arms work out the pictures that their own seeds share before those seeds need them.
    """
    return [
        Run(f"{name}-{arm}-{seed}".replace("_", "-"), arm, seed, _overrides(grid, arm, seed))
        for seed in grid.seeds
        for arm in grid.arms
    ]


def _overrides(grid: Grid, arm: str, seed: int) -> tuple[str, ...]:
    chosen = {_key(override): override for override in (*grid.common, *grid.arms[arm])}
    return (*chosen.values(), f"train.seed={seed}")
