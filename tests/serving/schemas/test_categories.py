"""Additional classes of a request."""

from __future__ import annotations

import json

import pytest

from exvad.serving.schemas.categories import (
    EXAMPLE,
    MAX_CATEGORIES,
    MAX_PHRASES,
    parse_categories,
)


def test_parse_categories_returns_the_phrases_of_each_class() -> None:
    assert parse_categories(EXAMPLE) == {"shoplifting": ["someone hides goods in a bag"]}
    assert parse_categories("{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        "theft",
        "[]",
        '{"theft": "a phrase"}',
        json.dumps({str(number): ["a phrase"] for number in range(MAX_CATEGORIES + 1)}),
        json.dumps({"theft": ["a phrase"] * (MAX_PHRASES + 1)}),
        json.dumps({"x" * 101: ["a phrase"]}),
        '{"": ["a phrase"]}',
        '{"theft": []}',
        '{"theft": [""]}',
        json.dumps({"theft": ["x" * 301]}),
    ],
)
def test_parse_categories_refuses_other_json_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'^categories: .*; write {"shoplifting": \['):
        parse_categories(text)
