"""A source that the server reads itself, named by a path or by a URL."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, JsonValue, model_validator

ONE_SOURCE: JsonValue = [
    {"required": [name], "properties": {name: {"type": "string"}}} for name in ("path", "url")
]


class PathOrUrl(BaseModel):
    """A source that is named by exactly one of `path` and `url`."""

    path: str | None = None
    url: str | None = None

    @model_validator(mode="after")
    def _require_one_source(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("give exactly one of path and url")
        return self
