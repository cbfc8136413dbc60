"""The body of every error response: problem+json (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel


class Problem(BaseModel):
    """An error, in the format of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
