"""Searches for parameters: the file that describes one, and what it says of params.yaml."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from stages.commands.grid import Override
from stages.core import settings
from stages.core.settings import Count, Positive, Seed, Settings, SettingsError, matching
from stages.core.settings_errors import suggestion
from stages.core.yaml_file import as_yaml

Value = str | float | int | bool | None
Values = Mapping[str, Value]
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
Key = Annotated[str, matching(r"[\w-]+(\.[\w-]+)+")]


class Distribution(Settings):
    """The values that a parameter may have: a range of numbers with both ends, or choices."""

    type: Literal["float", "int", "categorical"] = Field(description="what `low` and `high`, or `choices`, stand for")
    low: float | None = Field(None, description="smallest value of `float` and `int`")
    high: float | None = Field(None, description="largest value")
    log: bool = Field(False, description="whether orders of magnitude are equally likely, in place of values")
    choices: tuple[Any, ...] | None = Field(None, description="values of `categorical`: text, number, boolean, null")

    @field_validator("choices")
    @classmethod
    def _require_distinct(cls, choices: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        texts = [as_yaml(choice) for choice in choices or ()]
        if any(not isinstance(choice, Value) for choice in choices or ()) or len(set(texts)) < len(texts):
            raise ValueError(f"expected text, numbers, booleans or null, all different, found [{', '.join(texts)}]")
        return choices

    @model_validator(mode="after")
    def _require_consistent(self) -> "Distribution":
        if self.type == "categorical":
            if len(self.choices or ()) < 2 or self.low is not None or self.high is not None or self.log:
                raise ValueError(f"expected two `choices` or more alone for type categorical, found {self.shown()}")
            return self
        if self.low is None or self.high is None or self.choices is not None:
            raise ValueError(f"expected `low` and `high` alone for type {self.type}, found {self.shown()}")
        if self.low >= self.high:
            raise ValueError(f"high: expected a value above low = {self.low:g}, found {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low: expected a value above 0 for `log: true`, found {self.low:g}")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low: expected whole numbers for type int, found {self.low:g} to {self.high:g}")
        return self

    def __contains__(self, value: object) -> bool:
        """Whether a parameter may have this value; true and 1 are different values."""
        if self.type == "categorical":
            return as_yaml(value) in map(as_yaml, self.choices or ())
        number = isinstance(value, int) if self.type == "int" else isinstance(value, int | float)
        return number and not isinstance(value, bool) and self.low <= value <= self.high  # type: ignore[operator]

    def shown(self) -> str:
        """As YAML has it, on one line, without keys that are not given."""
        return as_yaml(self.model_dump(exclude_unset=True))


class Budget(Settings):
    """When a search ends: with the first of the two that is reached; a trial that runs then goes on to its end."""

    trials: Count | None = Field(description="all trials, the default and failed ones among them; null: no limit")
    hours: Positive | None = Field(description="of all trials together; null: no limit")

    @model_validator(mode="after")
    def _require_one(self) -> "Budget":
        if self.trials is None and self.hours is None:
            raise ValueError("trials: expected a number here or in hours, found null in both")
        return self


class Search(Settings):
    """A file such as experiments/search.yaml: parameters are chosen for the log loss on val of a DVC stage."""

    question: str = Field(description="what the search answers, in one sentence")
    target: Annotated[str, matching(r"ensemble|evaluate@[A-Za-z0-9][A-Za-z0-9_-]*")] = Field(
        description="the DVC stage up to which every trial is run, and whose log loss on val counts"
    )
    objective: Literal["log_loss", "log_loss_calibrated"] = Field(
        description="what is minimised on val; calibrated: after the model's temperature, as in the ensemble"
    )
    seed: Seed = Field(description="of the sampler")
    budget: Budget = Field(description="when the search ends")
    common: tuple[Override, ...] = Field(description="`parameter=value` of all trials")
    space: Annotated[dict[Key, Distribution], Field(min_length=1)] = Field(description="the searched parameters")

    @model_validator(mode="after")
    def _require_consistent(self) -> "Search":
        if not self.model and self.objective == "log_loss_calibrated":
            raise ValueError("objective: expected log_loss, found log_loss_calibrated: the ensemble is calibrated")
        keys = [override.partition("=")[0] for override in self.common]
        for key in keys:
            if keys.count(key) > 1 or key in self.space:
                problem = "in `space`, too" if key in self.space else "twice"
                raise ValueError(f"common: expected every parameter once, found {key} {problem}")
        return self

    @property
    def model(self) -> str:
        """The model that is evaluated; empty for the ensemble."""
        return self.target.partition("@")[2]

    @property
    def predictions(self) -> str:
        """The table whose test photos are compared at the end."""
        return f"data/predictions/{self.model}.csv" if self.model else "data/ensemble_predictions.csv"

    @property
    def details(self) -> str:
        """The file with the figures of a trial."""
        return f"metrics/evaluate/{self.model}/details.json" if self.model else "metrics/ensemble/details.json"

    @property
    def val_key(self) -> str:
        """The key of the log loss on val in that file: for the ensemble, of calibrated probabilities, out of sample."""
        return "val.log_loss" if self.model else "val.shrinkage.log_loss"

    def fixed(self) -> dict[str, str]:
        """What must not change while a search goes on, each as text by its key; question and budget may."""
        space = {f"space.{key}": distribution.shown() for key, distribution in self.space.items()}
        keys = ("target", "objective", "seed", "common")
        return {key: as_yaml(getattr(self, key)) for key in keys} | space


def read(path: Path) -> Search:
    """Read a search. Raises SettingsError naming the file, what was expected and what was found."""
    if not _STEM.fullmatch(path.stem):
        raise SettingsError(f"{path}: expected a name of a-z, A-Z, 0-9, `_` and `-`, which names the experiments, too")
    return settings.read(path, "", Search)


def defaults(search: Search, params: Mapping[str, Any]) -> dict[str, Value]:
    """The values of the searched parameters in `params`, the content of params.yaml.

    Raises SettingsError for a parameter or a model that is not there, and for a space without its default.
    """
    models = params.get("models") or {}
    if search.model and search.model not in models:
        raise SettingsError(
            f"target: expected a model of params.yaml, found {search.model}{suggestion(search.model, models)}"
        )
    found = values_of(search, params)
    for key, value in found.items():
        if value not in search.space[key]:
            raise SettingsError(
                f"space.{key}: expected a space that holds the default of params.yaml, {as_yaml(value)}, found "
                f"{search.space[key].shown()}; widen it, or change and commit params.yaml"
            )
    return found


def values_of(search: Search, params: Mapping[str, Any]) -> dict[str, Value]:
    """The values of the searched parameters in the content of a params.yaml. Raises SettingsError if one is missing."""
    return {key: _value_at(params, key) for key in search.space}


def _value_at(params: Mapping[str, Any], key: str) -> Any:
    node: Any = params
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            known = suggestion(part, node) if isinstance(node, Mapping) else ""
            raise SettingsError(f"space.{key}: expected a parameter of params.yaml, found no `{part}` there{known}")
        node = node[part]
    return node


def overrides(search: Search, values: Values) -> tuple[str, ...]:
    """The parameters of a trial in DVC's notation."""
    return (*search.common, *(f"{key}={as_yaml(value)}" for key, value in values.items()))
