"""Grids of experiments: every arm with every seed, other parameters unchanged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from stages.core import settings
from stages.core.settings import Seed, Settings, matching

Name = Annotated[str, matching(r"[a-z0-9_]+")]
Override = Annotated[str, matching(r"[\w.]+=.*")]


class Grid(Settings):
    """One file of `experiments/`: every arm runs up to a DVC stage with every seed."""

    question: str = Field(description="what the experiments answer, in one sentence")
    target: str = Field(description="the DVC stage up to which every arm is run")
    predictions: str = Field(description="the table whose test photos are compared")
    baseline: str = Field(description="the arm that the others are compared with")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(description="values of `train.seed`")
    common: tuple[Override, ...] = Field(description="`parameter=value` of all arms that do not set the same parameter")
    arms: Annotated[dict[Name, tuple[Override, ...]], Field(min_length=1)] = Field(
        description="`parameter=value` of each arm, by name"
    )

    @field_validator("seeds")
    @classmethod
    def _require_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"expected one seed or more, all different, found {list(seeds)}")
        return seeds

    @model_validator(mode="after")
    def _require_consistent(self) -> "Grid":
        if self.baseline not in self.arms:
            raise ValueError(f"baseline: expected one of {', '.join(self.arms)}, found {self.baseline!r}")
        for arm, overrides in self.arms.items():
            _require_each_once(f"arms.{arm}", overrides)
        _require_each_once("common", self.common)
        return self


@dataclass(frozen=True)
class Run:
    """One DVC experiment: its name, the arm and seed that it belongs to, and its overrides in DVC's notation."""

    name: str
    arm: str
    seed: int
    overrides: tuple[str, ...]


def read(path: Path) -> Grid:
    """Read a grid. Raises SettingsError naming the file, what was expected and what was found."""
    return settings.read(path, "", Grid)


def _require_each_once(name: str, overrides: tuple[str, ...]) -> None:
    keys = [_key(override) for override in overrides]
    for key in keys:
        if keys.count(key) > 1 or key == "train.seed":
            problem = "that the grid's seeds set" if key == "train.seed" else "twice"
            raise ValueError(f"{name}: expected every parameter once, found {key} {problem}")


def _key(override: str) -> str:
    return override.partition("=")[0]


def runs(name: str, grid: Grid) -> list[Run]:
    """All runs of the grid called `name`, the first seed of every arm before any second one.

    The runs of an arm share the images, so a later seed finds them in the cache.
    """
    return [
        Run(f"{name}-{arm}-{seed}".replace("_", "-"), arm, seed, _overrides(grid, arm, seed))
        for seed in grid.seeds
        for arm in grid.arms
    ]


def _overrides(grid: Grid, arm: str, seed: int) -> tuple[str, ...]:
    by_key = {_key(override): override for override in (*grid.common, *grid.arms[arm])}
    return (*by_key.values(), f"train.seed={seed}")
