"""A griffe extension: document the fields of NamedTuples and pydantic models."""

from __future__ import annotations

import ast
from typing import Any

import griffe

from scripts.docs.tables import prose


class DocumentedFields(griffe.Extension):  # type: ignore[misc]
    """List fields with their descriptions in the docstring of their class.

    Fields that are described by `Field(description=…)` are listed as attributes. Where a class
    describes its fields under `Args:`, it gets a constructor with them as parameters.
    """

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Document the fields of a class."""
        fields = [
            member
            for member in cls.members.values()
            if member.is_attribute and member.annotation is not None
        ]
        descriptions = {field.name: _description(field) for field in fields}
        lines = [f"    {name}: {text}" for name, text in descriptions.items() if text]
        if cls.docstring is None or not cls.bases:
            return
        if lines:
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(lines)
        if "\nArgs:\n" in cls.docstring.value and "__init__" not in cls.members:
            cls.set_member("__init__", _constructor(fields))


def _description(field: griffe.Attribute) -> str:
    """Return the description in `Field(…, description=text)`, if the field has one."""
    for argument in getattr(field.value, "arguments", ()):
        is_description = isinstance(argument, griffe.ExprKeyword) and argument.name == "description"
        # The source of a literal is text; other expressions are objects.
        if is_description and isinstance(argument.value, str):
            return prose(ast.literal_eval(argument.value))
    return ""


def _constructor(fields: list[griffe.Attribute]) -> griffe.Function:
    kind = griffe.ParameterKind.positional_or_keyword
    parameters = [griffe.Parameter("self", kind=kind)]
    parameters += [
        griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=field.value)
        for field in fields
    ]
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
