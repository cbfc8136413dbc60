"""The section on GPUs of docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import gpu_record
from scripts.gpu_record import BENCHMARKS, HEADING, gpu_section, replace_section
from scripts.scale import MEASURED, read_measurement


def test_document_holds_the_section_of_the_script() -> None:
    document = BENCHMARKS.read_text()
    assert replace_section(document, gpu_section(read_measurement(MEASURED))) == document


def test_section_shows_the_figures_of_a_card_and_what_it_did_not_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, document = tmp_path / "gpu.json", tmp_path / "benchmarks.md"
    content = {
        "format": 1, "card": "NVIDIA H100", "date": "2026-12-01", "driver": "580.1", "cores": 16,
        "versions": {"torch": "2.14.1"}, "figures": {"rate": 12345.6, "share": None},
        "not_run": {"late": "no room"},
    }  # fmt: skip
    record.write_text(json.dumps(content))
    document.write_text(f"# Benchmarks\n\n| a |\n\n{HEADING}\n\nold\n")
    monkeypatch.setattr(gpu_record, "RECORD", record)
    monkeypatch.setattr(gpu_record, "BENCHMARKS", document)
    gpu_record.main()
    written = document.read_text()
    assert written.startswith(f"# Benchmarks\n\n| a |\n\n{HEADING}\n\n`make test-gpu`, 2026-12-01")
    assert "| rate | 1.235e+04 |" in written
    assert "| late | not measured: no room |" in written
    assert "old" not in written
