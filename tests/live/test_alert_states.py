"""The states of an alert; the tests of the server's queue check more of them."""

from __future__ import annotations

from typing import Literal

from exvad.live.alert_states import merge_states
from exvad.results import Explanation
from exvad.results.live import LiveAlert

WHY = Explanation(anomalous=True, category="Arson", summary="smoke.", reason="fire.", evidence=[1])


def alert(
    state: Literal["began", "explained", "ended", "placed"], label: str = "Arson", **changes: object
) -> LiveAlert:
    """Return a state of an alert."""
    values = {"number": 1, "state": state, "start": 1, "end": 2, "label": label, "peak": 0.9}
    return LiveAlert.model_validate(values | changes)


def test_an_explanation_stays_and_is_compared_with_the_newest_class() -> None:
    explained = merge_states(alert("began"), alert("explained", explanation=WHY, captions=["a"]))
    assert explained.disagreement == ""
    ended = merge_states(explained, alert("ended", "Explosion", end=9))
    assert (ended.explanation, ended.captions, ended.end) == (WHY, ["a"], 9)
    assert ended.disagreement == "The explanation names arson, not explosion."


def test_an_alert_that_has_ended_only_gets_its_explanation() -> None:
    ended = merge_states(None, alert("ended", end=9, confidence=0.96))
    late = merge_states(
        ended, alert("explained", "Explosion", explanation=WHY, confidence=0.88, domain="unlike")
    )
    assert (late.state, late.label, late.end, late.explanation) == ("ended", "Arson", 9, WHY)
    assert (late.confidence, late.domain) == (0.96, "")


def test_an_alert_that_has_ended_may_be_placed_anew() -> None:
    ended = merge_states(None, alert("ended", end=9, explanation=WHY))
    placed = merge_states(ended, alert("placed", "Explosion", start=0.5, end=8))
    assert (placed.state, placed.label, placed.start, placed.end) == ("ended", "Explosion", 0.5, 8)
    assert placed.explanation == WHY
    assert placed.disagreement == "The explanation names arson, not explosion."
