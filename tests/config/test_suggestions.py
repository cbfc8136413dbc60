"""Names to suggest instead of unknown ones."""

from __future__ import annotations

import pytest

from exvad.config.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("name", "closest"),
    [("fihgting", "Fighting"), ("ARSON", "Arson"), ("Xylophone", None), ("", None)],
)
def test_did_you_mean_returns_the_closest_name_in_any_case(name: str, closest: str | None) -> None:
    assert did_you_mean(name, ["Fighting", "Arson"]) == closest
    assert did_you_mean(name, []) is None
