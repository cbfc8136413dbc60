"""What `exvad watch` prints of alerts and notices."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from exvad.cli.alert_output import AlertOutput
from exvad.results import Explanation
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.schemas.streams import AlertStatus

WHY = Explanation(
    anomalous=True, category="Arson", summary="a bin\nburns.", reason="fire [1].", evidence=[1]
)


def alert(**changes: object) -> LiveAlert:
    """Return a state of an alert."""
    values = {"number": 1, "state": "began", "start": 61.5, "end": 62.0, "label": "Arson",
              "peak": 0.9, "confidence": 0.83}  # fmt: skip
    return LiveAlert.model_validate(values | changes)


def open_output(as_json: bool = False) -> tuple[AlertOutput, io.StringIO, io.StringIO]:
    """Return the output of one stream, with what it prints on both of its consoles."""
    out, notes = io.StringIO(), io.StringIO()
    output, errors = (Console(file=file, highlight=False) for file in (out, notes))
    return AlertOutput(["[door]"], output, errors, as_json), out, notes


def test_an_alert_is_one_line_when_it_begins_changes_is_explained_and_ends() -> None:
    output, out, _ = open_output()
    output.add("[door]", alert())
    output.add("[door]", alert(state="lasted", end=70))
    output.add("[door]", alert(state="changed", label="Explosion"))
    output.add("[door]", alert(state="explained", explanation=WHY))
    output.add("[door]", alert(state="ended", end=75.25))
    lines = [line.split("  ", 1)[1] for line in out.getvalue().splitlines()]
    why = "why: a bin burns. fire [1]."
    assert lines == [
        "[door]  alert 1  Arson begins  confidence 0.83  1:01.5",
        "[door]  alert 1  now Explosion  confidence 0.83  1:01.5",
        f"[door]  alert 1  Arson explained  confidence 0.83  1:01.5  {why}",
        f"[door]  alert 1  Arson ends  confidence 0.83  1:01.5–1:15.2  {why}",
    ]


def test_json_has_the_schema_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    output, _, _ = open_output(as_json=True)
    output.add("[door]", LiveNotice(kind="connected", text="the source is open"))
    output.add("[door]", alert(explanation=WHY))
    output.add("[door]", alert(state="ended", end=75))
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert LiveNotice.model_validate(first["notice"]).kind == "connected"
    assert first["stream"] == second["stream"] == "[door]"
    began, ended = (AlertStatus.model_validate(item["alert"]) for item in (second, third))
    assert (began.state, ended.state) == ("began", "ended")
    assert ended.began_at == began.began_at
    assert ended.explanation == WHY


def test_a_camera_that_stays_away_is_told_once() -> None:
    output, _, notes = open_output()
    for seconds in (2, 5, 10):
        text = f"[door]: the camera is off; trying again in {seconds} s"
        output.add("[door]", LiveNotice(kind="lost", text=text))
    for count in (3, 4):
        output.add("[door]", LiveNotice(kind="dropped", text=f"{count} frames", count=count))
    told = [line.split("  ", 1)[1] for line in notes.getvalue().splitlines()]
    assert told == ["[door]: the camera is off; trying again in 2 s", "[door]: 3 frames"]
    assert output.unread == ["[door]"]


def test_the_summary_counts_alerts_and_dropped_frames() -> None:
    output, out, notes = open_output()
    output.add("[door]", LiveScores(times=[1.6, 63.2], scores=[0.1, 0.9]))
    output.add("[door]", alert())
    output.add("[door]", LiveNotice(kind="dropped", text="7 frames", count=7))
    output.end_alerts("[door]")
    output.end_alerts("[door]")
    output.summarize()
    assert [word in out.getvalue() for word in ("Arson begins", "Arson ends")] == [True, True]
    assert len(out.getvalue().splitlines()) == 2
    assert notes.getvalue().endswith("[door]: 1 alert in 1:03.2, 7 frames dropped to keep up\n")
    assert output.unread == []


def test_an_explanation_that_comes_after_many_other_alerts_is_none_of_its_own() -> None:
    output, _, notes = open_output()
    output.add("[door]", LiveScores(times=[60.0], scores=[0.9]))
    for number in range(1, 20):
        output.add("[door]", alert(number=number))
        output.add("[door]", alert(number=number, state="ended", end=75))
    output.add("[door]", alert(number=1, state="explained", explanation=WHY))
    output.summarize()
    assert notes.getvalue().endswith("[door]: 19 alerts in 1:00.0\n")


def test_an_alert_outside_the_domain_says_so_in_its_line() -> None:
    output, out, notes = open_output()
    notice = "Outside the domain of this checkpoint: it was trained on a demo."
    output.add("[door]", LiveNotice(kind="domain", text=notice, outside=True))
    output.add("[door]", alert(domain=notice))
    assert notice in notes.getvalue()
    assert out.getvalue().endswith("1:01.5  outside the domain of the checkpoint\n")


def test_json_says_when_an_alert_began_and_not_when_it_was_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, _, _ = open_output(as_json=True)
    output.add("[door]", alert(), 1000.0)
    output.add("[door]", alert(state="lasted", end=70), 1000.3)
    output.add("[door]", alert(state="changed", start=60.0), 998.5)
    output.add("[door]", alert(state="ended", start=60.0, end=75))
    alerts = [json.loads(line)["alert"] for line in capsys.readouterr().out.splitlines()]
    assert [item["began_at"] for item in alerts] == [1000.0, 998.5, 998.5]
