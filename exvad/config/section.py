"""What all groups of settings have in common."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that an annotation allows, without their ranges."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    return {annotation}


class Section(BaseModel):
    """A group of settings; immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_slips(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `yes` and `true` for numbers, which count as 1 otherwise, and zero bytes."""
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("text", "Input should have no zero byte")
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise PydanticCustomError("number", "Input should be a number")
        return value
