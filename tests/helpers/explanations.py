"""Answers of a language model in the format of an explanation."""

from __future__ import annotations

import json
from typing import Any

CLASSES = ("Normal", "Arson", "Fighting")


def explanation_json(**changes: Any) -> str:
    """Return a valid answer with some fields changed; the value None removes a field."""
    record = {
        "anomalous": True,
        "category": "Fighting",
        "summary": "two people fight.",
        "reason": "they hit each other.",
        "evidence": [1],
    }
    return json.dumps(
        {name: value for name, value in (record | changes).items() if value is not None}
    )
