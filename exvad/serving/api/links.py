"""Links in the OpenAPI document: which requests can follow a response (Link Object of 3.1)."""

from __future__ import annotations

from typing import Any

RESPONSE_ID = "$response.body#/id"
FIRST_ITEM_ID = "$response.body#/items/0/id"
NEWEST_ALERT = "$response.body#/alerts/0/number"


def links_to(*operation_ids: str, **parameters: str | int) -> dict[str, Any]:
    """Return the links of a documented response.

    Args:
        operation_ids: operations that can follow the response.
        parameters: parameter of these operations → its value, or where the response contains it.
    """
    return {
        "links": {
            operation_id: {"operationId": operation_id, "parameters": parameters}
            for operation_id in operation_ids
        }
    }
