"""An answer whose explanation contradicts its events says so in one sentence."""

from __future__ import annotations

import pytest

from exvad.results import Explanation
from exvad.results.disagreement import describe_contradiction, describe_disagreement
from tests.helpers.report_cases import make_analysis

BETWEEN_CAPTIONS = (13.1, 13.5, "Fighting")


def explanation(category: str) -> Explanation:
    return Explanation(
        anomalous=category != "Normal",
        category=category,
        summary="Two people stand.",
        reason="They stand.",
        evidence=[1],
    )


@pytest.mark.parametrize(
    ("found", "named", "sentence"),
    [
        ({"Arson"}, "Arson", ""),
        ({"Arson", "Robbery"}, "Robbery", ""),
        (set(), "Normal", ""),
        ({"Arson"}, None, ""),
        (set(), "Arson", "The explanation names arson, but no score exceeds the threshold."),
        (
            {"Arson"},
            "Normal",
            "The explanation finds nothing abnormal, but scores exceed the threshold.",
        ),
        (
            {"RoadAccidents", "Arson"},
            "Robbery",
            "The explanation names robbery, not arson and road accidents.",
        ),
    ],
)
def test_describe_contradiction_names_what_differs(
    found: set[str], named: str | None, sentence: str
) -> None:
    assert describe_contradiction(found, explanation(named) if named else None) == sentence


def test_describe_disagreement_says_that_no_caption_lies_in_the_event() -> None:
    missed = make_analysis(BETWEEN_CAPTIONS, explained="Normal")
    assert not missed.events[0].captions
    assert describe_disagreement(missed) == (
        "The explanation finds nothing abnormal, but scores exceed the threshold: none of its "
        "captions lies inside an event."
    )
    seen = make_analysis((12.0, 21.0, "Fighting"), explained="Normal")
    assert seen.events[0].captions
    assert describe_disagreement(seen).endswith("scores exceed the threshold.")
