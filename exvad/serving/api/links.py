"""Links in the OpenAPI document: which requests an answer leads to (OpenAPI 3.1, Link Object)."""

from __future__ import annotations

from typing import Any


def leads_to(
    *operations: str, number: str = "$response.body#/id", **more: dict[str, Any]
) -> dict[str, Any]:
    """Return how the document tells that an answer holds what other requests ask for.

    Args:
        operations: ids of operations that ask for an analysis or a stream by its id.
        number: where that id stands in the answer.
        more: ids of operations that ask for more besides, each with what it asks for.
    """
    asked = {**{operation: {} for operation in operations}, **more}
    return {
        "links": {
            operation: {"operationId": operation, "parameters": {"number": number, **besides}}
            for operation, besides in asked.items()
        }
    }
