"""Markdown tables, and types of JSON schemas in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
FORMATS = {"binary": "bytes", "path": "path", "ipvanynetwork": "network", "uri": "URL"}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells are Markdown of one line."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def code(value: object) -> str:
    """Return a value as inline code, written as JSON."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def prose(text: str) -> str:
    """Return plain text as Markdown: only inline code keeps its meaning."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"([\\[\]*_])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def type_in_words(schema: Schema, link: Callable[[str], str]) -> str:
    """Describe the type of a JSON schema.

    Args:
        schema: the schema of a field or parameter.
        link: Markdown for the name of a referenced model.

    Returns:
        Markdown such as `integer ≥ 1` or a list of the allowed values.
    """
    if "$ref" in schema:
        return link(schema["$ref"].rsplit("/", 1)[-1])
    if "enum" in schema or "const" in schema:
        return ", ".join(code(value) for value in schema.get("enum", [schema.get("const")]))
    alternatives = schema.get("anyOf") or schema.get("allOf")
    if alternatives:
        return " or ".join(type_in_words(option, link) for option in alternatives)
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {type_in_words(schema.get('items', {}), link)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        of = f" of name to {type_in_words(values, link)}" if isinstance(values, dict) else ""
        return f"mapping{of}"
    words = FORMATS.get(str(schema.get("format", "")), kind)
    return " ".join([words, *_bounds(schema)])


def _bounds(schema: Schema) -> list[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    longest = schema.get("maxLength")
    if low is not None and high is not None:
        return [f"{_number(low)} … {_number(high)}"]
    signs = (("≥", low), (">", above), ("≤", high), ("<", below))
    bounds = [f"{sign} {_number(bound)}" for sign, bound in signs if bound is not None]
    return bounds + ([f"of at most {longest} characters"] if longest is not None else [])


def _number(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def _cell(text: str) -> str:
    # Python-Markdown takes a `|` in inline code as it is.
    parts = text.replace("\n", " ").split("`")
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)
