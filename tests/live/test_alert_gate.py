"""The gate that holds alerts until a second look has confirmed them."""

from __future__ import annotations

from typing import Literal

from exvad.live.alert_gate import AlertGate
from exvad.results import Explanation, LiveAlert, LiveNotice, LiveScores, Record


def scores(time: float) -> LiveScores:
    """Return a score at a time."""
    return LiveScores(times=[time], scores=[0.9])


def alert(
    state: Literal["began", "changed", "lasted", "explained", "ended"],
    end: float,
    number: int = 1,
    anomalous: bool = True,
) -> LiveAlert:
    """Return a record of an alert; with an explanation if its state is `explained`."""
    explanation = Explanation(
        anomalous=anomalous, category="Fire", summary="A grill.", reason="It is a grill.",
        evidence=[],
    )  # fmt: skip
    return LiveAlert(
        number=number,
        state=state,
        start=2.0,
        end=end,
        label="Fire",
        peak=0.9,
        explanation=explanation if state == "explained" else None,
    )


def states(records: list[Record]) -> list[str]:
    """Return the states of the alerts among records."""
    return [record.state for record in records if isinstance(record, LiveAlert)]


def test_gate_passes_a_confirmed_alert_with_all_its_records() -> None:
    gate = AlertGate(20)
    assert states(gate.filter([scores(3), alert("began", 3)])) == []
    assert states(gate.filter([scores(5), alert("lasted", 5)])) == []
    assert states(gate.filter([alert("explained", 6)])) == ["began", "lasted", "explained"]
    assert states(gate.filter([alert("ended", 9)])) == ["ended"]


def test_gate_turns_a_rejected_alert_into_a_notice() -> None:
    gate = AlertGate(20)
    gate.filter([alert("began", 3)])
    (notice,) = gate.filter([alert("explained", 4, anomalous=False)])
    text = "a second look rejected Fire: It is a grill."
    assert notice == LiveNotice(kind="rejected", text=text, alert=1)
    assert gate.filter([alert("lasted", 8), alert("ended", 9)]) == []
    assert gate.release() == []
    assert states(gate.filter([alert("began", 30, number=2), scores(60)])) == ["began"]


def test_gate_releases_an_alert_that_is_not_explained_in_time() -> None:
    gate = AlertGate(20)
    gate.filter([alert("began", 3)])
    assert states(gate.filter([scores(22.9)])) == []
    assert states(gate.filter([scores(23)])) == ["began"]
    assert states(gate.filter([alert("explained", 25)])) == ["explained"]


def test_gate_releases_alerts_that_cannot_be_explained_and_those_at_the_end() -> None:
    gate = AlertGate(20)
    gate.filter([alert("began", 3)])
    assert states(gate.filter([LiveNotice(kind="unexplained", text="x")])) == ["began"]
    gate.filter([alert("began", 40, number=2), alert("ended", 41, number=2)])
    assert states(gate.release()) == ["began", "ended"]


def test_gate_releases_an_alert_in_time_while_no_frames_come() -> None:
    now = 100.0
    gate = AlertGate(20, clock=lambda: now)
    gate.filter([alert("began", 3)])
    now = 119.9
    assert gate.filter([]) == []
    assert gate.is_holding
    now = 120.0
    assert states(gate.filter([])) == ["began"]
    assert not gate.is_holding


def test_gate_releases_alerts_before_the_notice_that_their_source_is_lost() -> None:
    gate = AlertGate(20)
    gate.filter([alert("began", 3)])
    gone = LiveNotice(kind="lost", text="the camera is off")
    released, notice = gate.filter([gone])
    assert states([released]) == ["began"]
    assert notice == gone
