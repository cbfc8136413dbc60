"""The search space: a YAML file of configuration keys, checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from exvad.config import load_config


class _Range(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must lie below high, and above 0 for a logarithmic range")
        return self


class FloatRange(_Range):
    """A number between low and high."""

    type: Literal["float"]


class IntRange(_Range):
    """A whole number from low to high, both included."""

    type: Literal["int"]


class Choice(BaseModel):
    """One of some values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["choice"]
    values: list[Any] = Field(min_length=1)


Dimension = Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]
_SPACE = TypeAdapter(dict[str, Dimension])


def read_space(path: Path, preset: str) -> dict[str, Dimension]:
    """Read a search space and try its corners on the preset.

    Args:
        path: YAML file of configuration key → dimension.
        preset: the preset whose keys are searched.

    Raises:
        ValueError: the file is missing or malformed, or a key or value does not fit the preset.
    """
    import yaml

    if not path.is_file():
        raise ValueError(f"no search space {path}")
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(values, dict) or not values:
            raise ValueError(f"{path}: a space maps settings to how they are drawn")
        space = _SPACE.validate_python(values)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {key}: {first['msg']}") from None
    for key, dimension in space.items():
        for value in corners(dimension):
            load_config(preset, [f"{key}={value}"])
    return space


def corners(dimension: Dimension) -> list[Any]:
    """Return the extreme values of a dimension, or all of a choice."""
    if isinstance(dimension, Choice):
        return list(dimension.values)
    if isinstance(dimension, IntRange):
        return [int(dimension.low), int(dimension.high)]
    return [dimension.low, dimension.high]


def grid_space(space: dict[str, Dimension], points: int = 3) -> dict[str, Any]:
    """Translate a space into a grid: all values of a choice, a few of a range.

    Args:
        space: the space.
        points: values per range, its ends among them, evenly spaced on its own scale.
    """
    import numpy as np
    from ray import tune

    grids: dict[str, Any] = {}
    for key, dimension in space.items():
        if isinstance(dimension, Choice):
            grids[key] = tune.grid_search(list(dimension.values))
            continue
        spread = np.geomspace if dimension.log else np.linspace
        values = [float(value) for value in spread(dimension.low, dimension.high, points)]
        if isinstance(dimension, IntRange):
            values = sorted({round(value) for value in values})
        grids[key] = tune.grid_search(values)
    return grids


def tune_space(space: dict[str, Dimension]) -> dict[str, Any]:
    """Translate a space into Ray Tune's sampling domains."""
    from ray import tune

    domains: dict[str, Any] = {}
    for key, dimension in space.items():
        if isinstance(dimension, Choice):
            domains[key] = tune.choice(dimension.values)
        elif isinstance(dimension, IntRange):
            draw = tune.lograndint if dimension.log else tune.randint
            domains[key] = draw(int(dimension.low), int(dimension.high) + 1)
        else:
            spread = tune.loguniform if dimension.log else tune.uniform
            domains[key] = spread(dimension.low, dimension.high)
    return domains
