"""The reference of the HTTP API, from the OpenAPI document that the server itself publishes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from exvad.serving.api.application import create_api
from exvad.serving.settings import ServerSettings
from scripts.docs.tables import code, prose, table, type_in_words

PROBLEM = "application/problem+json"
METHODS = ("get", "post", "put", "patch", "delete")
# The first part of a path after the version → the title of its group.
GROUPS = {"analyses": "Analyses", "streams": "Live streams", "session": "Browser sessions"}
OTHER = "Health, models and metrics"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of a server with default settings."""
    with tempfile.TemporaryDirectory() as folder:
        document: dict[str, Any] = create_api(ServerSettings(spool=Path(folder))).openapi()
    return document


def http_api() -> str:
    """Return a section for every operation, by group, and one for every model."""
    document = openapi()
    groups: dict[str, list[str]] = {title: [] for title in (*GROUPS.values(), OTHER)}
    for path, item in document["paths"].items():
        part = path.removeprefix("/v1").strip("/").split("/")[0]
        for method in METHODS:
            if method in item:
                groups[GROUPS.get(part, OTHER)].append(_operation(method, path, item[method]))
    parts = [f"## {title}\n\n" + "\n\n".join(group) for title, group in groups.items() if group]
    models = document["components"]["schemas"]
    fields = "\n\n".join(_model(name, schema) for name, schema in sorted(models.items()))
    return "\n\n".join([*parts, f"## Models\n\n{fields}"])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f"### {method.upper()} {path} {{ #{operation['operationId'].replace('_', '-')} }}",
        _paragraphs(operation.get("description", operation.get("summary", ""))),
    ]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            (
                f"`{parameter['name']}`",
                parameter["in"],
                type_in_words(parameter["schema"], _link),
                _default(parameter["schema"], parameter.get("required", False)),
                prose(parameter.get("description", "")),
            )
            for parameter in parameters
        ]
        header = ("parameter", "in", "type", "default", "description")
        parts.append(table(header, rows))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"Body, `{kind}`: {_body(content.get('schema', {}))}")
    parts.append(table(("status", "content", "meaning"), _answers(operation["responses"])))
    return "\n\n".join(part for part in parts if part)


def _answers(responses: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return a row for every answer; all refusals share one."""
    rows, refusals = [], []
    for status, answer in sorted(responses.items()):
        meaning = str(answer.get("description", "")).replace("Successful Response", "")
        if PROBLEM not in answer.get("content", {}):
            rows.append((status, _contents(answer), prose(meaning)))
        elif status.isdigit():
            refusals.append((status, meaning))
    if refusals:
        statuses, meanings = (", ".join(column) for column in zip(*refusals, strict=True))
        rows.append((statuses, f"`{PROBLEM}`, {_link('Problem')}", prose(meanings)))
    return rows


def _body(schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return type_in_words(schema, _link)
    return f"{prose(schema.get('description', 'a form'))}\n\n{_fields(schema)}"


def _contents(answer: dict[str, Any]) -> str:
    contents = []
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        model = f", {type_in_words(schema, _link)}" if "$ref" in schema else ""
        contents.append(f"`{kind}`{model}")
    return "<br>".join(contents) or "none"


def _model(name: str, schema: dict[str, Any]) -> str:
    description = _paragraphs(schema.get("description", ""))
    return f"### {name} {{ #{name.lower()} }}\n\n{description}\n\n{_fields(schema)}"


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"`{name}`",
            type_in_words(field, _link),
            _default(field, name in required),
            prose(field.get("description", "")),
        )
        for name, field in schema.get("properties", {}).items()
    ]
    return table(("field", "type", "default", "description"), rows)


def _default(schema: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    return code(schema["default"]) if "default" in schema else code(None)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _paragraphs(text: str) -> str:
    return "\n\n".join(prose(part) for part in text.split("\n\n"))
