"""Results of trainings that an earlier command wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.data.storage.places import Place


def read_result(place: Place) -> dict[str, Any]:
    """Return a result that an earlier command wrote.

    Raises:
        ValueError: the file is damaged; the message says what to do.
    """
    try:
        record = place.read_json()
    except ValueError as error:
        raise ValueError(f"{error}; delete it and run the same command again") from None
    if not isinstance(record, dict) or not record:
        raise ValueError(f"{place} holds no result; delete it and run the same command again")
    return record
