"""The search space: a YAML file of configuration keys, validated before the search starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from ray import tune

from exvad.config import Config, ConfigError, override_config
from exvad.config.yaml_text import read_yaml


class _Range(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _check_order(self) -> _Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must lie below high, and above 0 for a logarithmic range")
        return self


class FloatRange(_Range):
    """A number between low and high."""

    type: Literal["float"]


class IntRange(_Range):
    """An integer from low to high, both included."""

    type: Literal["int"]

    @model_validator(mode="after")
    def _check_whole(self) -> IntRange:
        if not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("low and high of an int must be whole numbers")
        return self


class Choice(BaseModel):
    """One of several values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["choice"]
    values: list[Any] = Field(min_length=1)


Dimension = Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]
_SPACE = TypeAdapter(dict[str, Dimension])


def read_space(path: Path, config: Config) -> dict[str, Dimension]:
    """Read a search space and check that its extreme values fit a configuration.

    Args:
        path: YAML file of configuration key → dimension.
        config: the configuration whose settings are searched.

    Raises:
        ValueError: the file is missing or malformed, or a key or value does not fit.
    """
    if not path.is_file():
        raise ValueError(f"no search space {path}")
    content = read_yaml(path)
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: a search space maps settings to how they are drawn")
    try:
        space = _SPACE.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        # The second part, if there is one, is the type of the range.
        key = ".".join(str(part) for part in (*first["loc"][:1], *first["loc"][2:]))
        raise ValueError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}") from None
    for key, dimension in space.items():
        for value in (*extreme_values(dimension), *_fractions(dimension)):
            try:
                override_config(config, {key: value})
            except ConfigError as error:
                raise ValueError(f"{path}: {error}") from None
    return space


def extreme_values(dimension: Dimension) -> list[Any]:
    """Return the ends of a range, or all values of a choice."""
    if isinstance(dimension, Choice):
        return list(dimension.values)
    if isinstance(dimension, IntRange):
        return [int(dimension.low), int(dimension.high)]
    return [dimension.low, dimension.high]


def _fractions(dimension: Dimension) -> list[float]:
    """Return a number with a fraction that a range draws: settings of whole numbers refuse it."""
    if not isinstance(dimension, FloatRange):
        return []
    return [dimension.low + (dimension.high - dimension.low) * (5**0.5 - 1) / 2]


def grid_space(space: dict[str, Dimension], points: int = 3) -> dict[str, Any]:
    """Translate a space into a grid: all values of a choice, a few of a range.

    Args:
        space: the search space.
        points: values per range, both ends included, evenly spaced on the range's own scale.
    """
    grids: dict[str, Any] = {}
    for key, dimension in space.items():
        if isinstance(dimension, Choice):
            grids[key] = tune.grid_search(list(dimension.values))
            continue
        spacing = np.geomspace if dimension.log else np.linspace
        values = [float(value) for value in spacing(dimension.low, dimension.high, points)]
        if isinstance(dimension, IntRange):
            values = sorted({round(value) for value in values})
        grids[key] = tune.grid_search(values)
    return grids


def sampling_space(space: dict[str, Dimension]) -> dict[str, Any]:
    """Translate a space into Ray Tune's sampling domains."""
    domains: dict[str, Any] = {}
    for key, dimension in space.items():
        if isinstance(dimension, Choice):
            domains[key] = tune.choice(dimension.values)
        elif isinstance(dimension, IntRange):
            integers = tune.lograndint if dimension.log else tune.randint
            domains[key] = integers(int(dimension.low), int(dimension.high) + 1)
        else:
            floats = tune.loguniform if dimension.log else tune.uniform
            domains[key] = floats(dimension.low, dimension.high)
    return domains
