"""The named options of a system: their types and ranges, and what a user gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import Field, TypeAdapter, ValidationError

OptionTypes: TypeAlias = Mapping[str, Any]
"""Name → type, annotated with its range."""

Options: TypeAlias = dict[str, Any]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
DropShare = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
EvenCount = Annotated[int, Field(ge=2, multiple_of=2)]


def read_options(system: str, types: OptionTypes, given: Mapping[str, object]) -> Options:
    """Check what is given for the options of a system.

    Args:
        system: its name, for the error.
        types: its options.
        given: option → value; words and numbers may be strings.

    Returns:
        The values in the types of the options, in the order of `types`.

    Raises:
        ValueError: the system has no such option, or the value does not fit it.
    """
    for name in given:
        if name not in types:
            known = f"its options are {', '.join(types)}" if types else "it has none"
            raise ValueError(f"{system} has no option {name!r}: {known}")
    values = {}
    for name, kind in types.items():
        if name not in given:
            continue
        value = given[name]
        if value is False and "off" in get_args(kind):
            value = "off"  # which YAML reads as a truth value
        try:
            values[name] = TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ValueError(
                f"{system}: {given[name]!r} is no value of the option {name} ({reason})"
            ) from None
    return values


def describe_options(options: Mapping[str, object]) -> str:
    """Return options as words, such as "margin 10, pairing matched"; "" without any."""
    return ", ".join(f"{name.rstrip('_')} {_plain(value)}" for name, value in options.items())


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return " and ".join(map(_plain, value))
    return "none" if value is None else str(value)
