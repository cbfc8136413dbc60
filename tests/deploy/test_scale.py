"""docs/scale.md holds what scripts/scale.py computes, and that follows from the assumptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import scale
from scripts.scale import (
    DOCUMENT,
    MEASURED,
    gpu_seconds,
    main,
    make_table,
    plan_steps,
    read_assumptions,
    read_measurement,
    replace_table,
)

FIGURES = {
    "clip_frames_per_second": 1000.0,
    "captions_per_second_32": 50.0,
    "explanations_per_second": 4.0,
    "vision_gpu_busy_share": None,
}


@pytest.fixture(autouse=True)
def no_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the script find no figures of a card, not even those of this machine."""
    monkeypatch.setattr(scale, "RECORD", tmp_path / "runs" / "gpu.json")
    monkeypatch.setattr(scale, "MEASURED", tmp_path / "scale_measured.json")
    monkeypatch.setattr(scale, "DOCUMENT", tmp_path / "scale.md")


def write_record(path: Path, card: str = "NVIDIA H100 80GB HBM3", **changes: Any) -> Path:
    """Write figures as the lane does; return the file."""
    content = {
        "format": 1,
        "card": card,
        "date": "2026-12-01",
        "driver": "580.1",
        "versions": {"torch": "2.14.1"},
        "figures": FIGURES,
        **changes,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_document_holds_the_table_of_the_script() -> None:
    document = DOCUMENT.read_text()
    table = make_table(read_assumptions(), read_measurement(MEASURED))
    assert replace_table(document, table) == document


def test_measured_rates_replace_the_assumed_ones_and_are_named_so(tmp_path: Path) -> None:
    measurement = read_measurement(tmp_path / "absent.json", write_record(tmp_path / "gpu.json"))
    assert measurement is not None
    assumptions = read_assumptions()
    _, clip, captions, explanations = plan_steps(
        assumptions, {"hours": 1, "videos": 1, "fps": 30}, measurement.figures
    )
    assert clip.rate == pytest.approx(1000 * 0.85)
    assert captions.rate == pytest.approx(50 * 0.85)
    assert explanations.rate == pytest.approx(1 / (1 / 4 + 0.0014))
    table = make_table(assumptions, measurement)
    assert "| assumed |" not in table
    assert "measured on one NVIDIA H100 80GB HBM3** (driver 580.1, torch 2.14.1" in table
    assert "Assumed is that the pipeline reaches 85%" in table
    assert "A10G" not in table


def test_rates_that_a_card_did_not_measure_stay_assumed(tmp_path: Path) -> None:
    figures = {"clip_frames_per_second": 1000.0}
    measurement = read_measurement(write_record(tmp_path / "gpu.json", figures=figures))
    table = make_table(read_assumptions(), measurement)
    assert "CLIP are measured on one NVIDIA H100" in table
    assert "Of captions and explanations the speed is assumed" in table
    assert table.count("| assumed |") == 4


@pytest.mark.parametrize(
    ("card", "has_price", "expected"),
    [("NVIDIA A10G", False, False), ("NVIDIA H100", False, True), ("NVIDIA H100", True, False)],
)
def test_price_of_a_node_counts_for_its_card_only(
    tmp_path: Path, card: str, has_price: bool, expected: bool
) -> None:
    measurement = read_measurement(write_record(tmp_path / "gpu.json", card))
    table = make_table(read_assumptions(), measurement, has_price)
    assert ("no price" in table) == expected


@pytest.mark.parametrize("changes", [{"format": 2}, {"figures": 3}, {"versions": {}}])
def test_record_of_another_version_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="make test-gpu"):
        read_measurement(write_record(tmp_path / "gpu.json", **changes))


def test_written_page_can_be_written_again_without_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale.DOCUMENT.write_text(DOCUMENT.read_text())
    write_record(scale.RECORD)
    assert main(["--write"]) == 0
    written = scale.DOCUMENT.read_text()
    assert "NVIDIA H100" in written
    scale.RECORD.unlink()
    scale.DOCUMENT.write_text(DOCUMENT.read_text())
    assert main(["--write"]) == 0
    assert scale.DOCUMENT.read_text() == written
    assert main(["gpu.tflops=140"]) == 0
    assert "NVIDIA H100" not in capsys.readouterr().out.split("Prices are")[-1]


def test_replace_table_refuses_a_document_without_marks() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        replace_table("no marks", "table")


def test_plan_steps_counts_the_items_of_each_step() -> None:
    dataset = {"hours": 2, "videos": 3, "fps": 16}
    decode, clip, captions, explanations = plan_steps(read_assumptions(), dataset)
    assert decode.items == 2 * 3600 * 16
    assert clip.items == 2 * 3600
    assert captions.items == 3 * 32
    assert explanations.items == 3
    assert decode.hours == pytest.approx(decode.items / 1460 / 3600)


def test_gpu_seconds_are_limited_by_arithmetic_when_reading_and_memory_when_writing() -> None:
    assumptions = read_assumptions(
        ["gpu.tflops=1", "gpu.gb_per_second=1", "gpu.utilisation=0.5", "batch=2"]
    )
    # 2 operations · 1e9 parameters · 100 tokens at 0.5e12 per second
    assert gpu_seconds(assumptions, 1000, 100, 0) == pytest.approx(0.4)
    # one more step: its arithmetic, and 2 GB at 0.5 GB/s for two items together
    assert gpu_seconds(assumptions, 1000, 100, 1) == pytest.approx(0.404 + 2)


def test_faster_gpu_changes_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    slow = capsys.readouterr().out
    assert main(["gpu.tflops=140"]) == 0
    assert capsys.readouterr().out != slow


@pytest.mark.parametrize("wrong", ["gpu.tflop=3", "gpu=3", "nowhere.x=3", "gpu.tflops=fast"])
def test_unknown_assumption_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([wrong])
    assert wrong in capsys.readouterr().err
