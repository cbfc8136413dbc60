"""Tables of every configuration key, from the typed configuration and the server's settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from exvad.config import Config
from exvad.serving.settings import Replicas, ServerSettings
from scripts.docs.tables import code, prose, table, type_in_words

HEADER = ("key", "type", "default", "description")


def configuration_tables() -> str:
    """Return one table per section of the configuration of a run."""
    parts: list[str] = []
    seen: dict[str, str] = {}
    for name, section, defaults in _sections(Config(), ""):
        signature = repr((type(section), defaults))
        title = f"### `{name}`" if name else "### Top level"
        if name and signature in seen:
            first = seen[signature]
            parts.append(f"{title}\n\nThe keys and defaults of [`{first}`](#{_anchor(first)}).")
            continue
        seen[signature] = name
        intro = prose((section.__doc__ or "").strip())
        parts.append(f"{title}\n\n{intro}\n\n{_table(type(section), defaults, name)}")
    return "\n\n".join(parts)


def settings_table() -> str:
    """Return the table of the server's settings, and that of a deployment's replicas."""
    settings = _table(ServerSettings, ServerSettings().model_dump(mode="json"), "")
    replicas = _table(Replicas, Replicas().model_dump(mode="json"), "")
    return f"{settings}\n\n### Replicas\n\n{prose(Replicas.__doc__ or '')}\n\n{replicas}"


def configuration_keys() -> set[str]:
    """Return every dotted key of the configuration, sections included."""
    found: set[str] = set()
    for name, section, _ in _sections(Config(), ""):
        prefix = f"{name}." if name else ""
        found |= {
            f"{prefix}{field.alias or key}" for key, field in type(section).model_fields.items()
        }
    return found


def _sections(section: BaseModel, name: str) -> Iterator[tuple[str, BaseModel, dict[str, Any]]]:
    """Yield the dotted name, the section and its plain values, depth first."""
    fields = type(section).model_fields
    inner = {key: value for key, value in section if isinstance(value, BaseModel)}
    values = section.model_dump(mode="json", by_alias=True)
    plain = {
        field.alias or key: values[field.alias or key]
        for key, field in fields.items()
        if key not in inner
    }
    if plain:
        yield name, section, plain
    for key, value in inner.items():
        yield from _sections(value, f"{name}.{key}".lstrip("."))


def _table(model: type[BaseModel], defaults: dict[str, Any], prefix: str) -> str:
    schema = model.model_json_schema(by_alias=True)["properties"]
    rows = []
    for key, value in defaults.items():
        dotted = f"{prefix}.{key}".lstrip(".")
        kind = type_in_words(schema[key], lambda name: f"[{name.lower()}](#{name.lower()})")
        description = prose(schema[key].get("description", ""))
        rows.append((f"`{dotted}`", kind, _default(value), description))
    return table(HEADER, rows)


def _default(value: Any) -> str:
    """Show a default; of a deployment's replicas only what differs from their own defaults."""
    usual = Replicas().model_dump(mode="json")
    if not isinstance(value, dict) or set(value) != set(usual):
        return code(value)
    changed = {key: own for key, own in value.items() if own != usual[key]}
    return code(changed) if changed else "as below"


def _anchor(name: str) -> str:
    return name.replace(".", "")
