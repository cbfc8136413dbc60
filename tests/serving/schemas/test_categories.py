"""Additional classes of a request."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from exvad.serving.schemas.analyses import AnalysisOptions
from exvad.serving.schemas.categories import (
    EXAMPLE,
    MAX_CATEGORIES,
    MAX_PHRASES,
    parse_categories,
)
from exvad.serving.schemas.streams import StreamOptions


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


@pytest.mark.parametrize("options", [AnalysisOptions, StreamOptions])
def test_categories_under_both_names_are_refused(options: type[BaseModel]) -> None:
    names = {"categories": {"theft": ["a phrase"]}, "look_for": {"theft": ["a phrase"]}}
    with pytest.raises(ValueError, match="look_for is another name of categories"):
        options.model_validate(names)
