"""The record of the lane: what it holds, and how sessions on the same day add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.gpu.lane import MINIATURE
from tests.helpers.gpu.record import Record, query_card


def test_record_holds_the_machine_and_the_figures_of_all_sessions_of_a_day(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "gpu.json"
    first = Record(path, MINIATURE)
    first.add("rate", 123456.7)
    first.add("share", None)
    first.skip("late", "no room")
    first.write()
    content = json.loads(path.read_text())
    assert content["figures"] == {"rate": 123500.0, "share": None}
    assert content["not_run"] == {"late": "no room"}
    assert content["versions"]["torch"]
    assert {"card", "driver", "date", "command", "cores"} <= set(content)

    second = Record(path, MINIATURE)
    second.add("late", 1)
    second.write()
    content = json.loads(path.read_text())
    assert content["figures"] == {"late": 1.0, "rate": 123500.0, "share": None}
    assert content["not_run"] == {}


def test_record_of_another_day_or_card_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps({"card": "another", "figures": {"old": 1}}))
    record = Record(path, MINIATURE)
    record.write()
    assert "old" in path.read_text(), "nothing was measured"
    record.add("new", 2)
    record.write()
    assert json.loads(path.read_text())["figures"] == {"new": 2.0}


def test_query_card_reads_what_nvidia_smi_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert query_card("driver_version") == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho "580.1 $1"\n')
    tool.chmod(0o755)
    assert query_card("driver_version") == ["580.1 --query-gpu=driver_version"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert query_card("driver_version") == []
