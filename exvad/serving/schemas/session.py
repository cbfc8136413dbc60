"""Requests and responses about signing in with a browser."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SessionRequest(BaseModel):
    """The API key of a user who signs in."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=1000, pattern=r"^[\x20-\x7e]+$")


class Session(BaseModel):
    """Whether the server requires an API key, and what the request's key permits."""

    model_config = ConfigDict(extra="forbid")

    key_required: bool
    scope: Literal["read", "submit", "admin"] | None = None
