"""Tables of a comparison: measured rows beside quoted ones, with notes, reasons and all metrics."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from exvad.baselines import SYSTEMS
from exvad.evaluation.comparison_notes import reasons_of_absence
from exvad.evaluation.comparison_tables import (
    CSV_COLUMNS,
    Row,
    comparison_csv,
    comparison_tables,
)
from exvad.evaluation.paper_tables import as_markdown, quoted_results, read_paper_file
from exvad.report.tables_page import render_tables

IOUS = ("0.1", "0.2", "0.3", "0.4", "0.5", "average")
COST = {"parameters": 279_105, "macs": 71_000_000, "seconds": 0.002, "image_width": 512,
        "text_width": 0}  # fmt: skip


def record(seed: int, **changes: Any) -> dict[str, Any]:
    """A record as `run_trial` returns it."""
    metrics = {f"map_vadclip_{iou}": 10.0 + seed for iou in IOUS}
    metrics |= {"frame_auc": 0.8 + seed / 10, "frame_ap": 0.5, "latency_ap": 0.4}
    return {
        "system": "real_ad",
        "way": "F2",
        "seed": seed,
        "text": "none",
        "metrics": {**metrics, "false_alarms_per_hour": 3.0},
        "random": {"frame_auc": 0.5, "map_vadclip_0.1": 0.2},
        "intervals": {"frame_auc": (0.7 + seed / 10, 0.9 + seed / 10)},
        "per_class": {"Arson": {"videos": 7, "frame_auc": 0.6, "latency_ap": 0.3}},
        "selection": {"step": 20.0, "rate_factor": 10.0},
        "options": {},
        "chosen": {},
        "crops": "crop 0",
        "native": {},
        "steps": 60,
        "training_seconds": 12.0,
        "videos": {"train": 60, "test": 20},
        "missing": {"train": [], "test": []},
        **changes,
    }


def rows() -> list[Row]:
    failed = {"system": "tevad", "way": "F2", "seed": 0, "error": "the videos have no text"}
    return [
        Row("RealAD", "F2", [record(0), record(1)], COST),
        Row("TEVAD (CLIP text)", "F2", [failed]),
    ]


def markdown(dataset: str) -> str:
    tables = comparison_tables(rows(), dataset, "vadclip", "val", "T = 256", [*SYSTEMS])
    return as_markdown(tables)


def test_measured_rows_have_deviation_interval_way_and_rule_of_selection() -> None:
    lines = markdown("ucf_crime").splitlines()
    fine, coarse, *_ = [line for line in lines if line.startswith("| RealAD, F2 |")]
    assert "| 10.50 ± 0.71 |" in fine
    assert "vadclip, 2 seeds, step chosen on val by labels of videos" in fine
    assert "| 85.00 ± 7.07 [75.00, 95.00] | 50.00 ± 0.00 |" in coarse
    assert "published learning rate × 10" in coarse


def test_rows_name_crops_options_and_the_data_set_they_are_built_for() -> None:
    chosen = [record(seed, system="clip_tsa", chosen={"margin": 10.0**seed}) for seed in (0, 1)]
    row = Row("CLIP-TSA", "F2", chosen, COST)
    for dataset, built in (("ucf_crime", False), ("xd_violence", True)):
        tables = comparison_tables([row], dataset, "vadclip", "val", "T = 256", [*SYSTEMS])
        lines = [line for line in as_markdown(tables).splitlines() if "| CLIP-TSA, F2 |" in line]
        assert all("crop 0 for training and test" in line for line in lines)
        assert all("margin 1 and 10 chosen in the same way" in line for line in lines)
        assert all(("built as published for xd_violence" in line) == built for line in lines)
    assert "| measured, T = 256, D = 512, one CPU core |" in as_markdown(tables)


def test_rows_of_other_videos_say_so_and_which_are_missing() -> None:
    lacking = [f"v{number}" for number in range(7)]
    fewer = record(0, system="tevad", videos={"train": 53, "test": 19},
                   missing={"train": lacking, "test": ["t1"]})  # fmt: skip
    untrained = {"system": "lavad", "untrained": "captions", "steps": 0, "videos": {"test": 20}}
    table_rows = [
        Row("RealAD", "F2", [record(0)], COST),
        Row("TEVAD", "F2", [fewer], COST),
        Row("LAVAD", "F3", [record(0, **untrained, selection={}, missing={"test": []})]),
    ]
    tables = comparison_tables(table_rows, "world", "strict", "val", "T", [*SYSTEMS, "lavad"])
    for text in map(as_markdown, ([table] for table in tables[:3])):
        assert ", 60 training videos, 20 test videos |" in text
        assert ", 53 training videos, 19 test videos |" in text
        assert ", crop 0, 20 test videos |" in text
        assert (
            "Without 7 training videos that lack features or texts (v0, v1, v2, v3, v4 and 2 "
            "more): TEVAD, F2." in text
        )
        assert "Without 1 test video that lacks features or texts (t1): TEVAD, F2." in text
    assert "20 test videos" not in markdown("world")


def test_class_accuracy_of_two_classes_stands_in_no_table() -> None:
    known = record(0)["metrics"] | {"class_accuracy": 0.9, "video_auc": 0.8}
    for way, shown in (("F2", True), ("coarse", False)):
        row = Row("RealAD", way, [record(0, way=way, metrics=known)], COST)
        tables = comparison_tables([row], "world", "strict", "val", "T", [*SYSTEMS])
        assert ("| 90.00 |" in as_markdown(tables)) == shown
        assert (",class_accuracy," in comparison_csv([row])) == shown


def test_rows_without_training_say_what_they_worked_with() -> None:
    untrained = {"system": "lavad", "untrained": "captions rated by model, a note", "steps": 0}
    known = record(0, **untrained, selection={}, training_seconds=None)
    row = Row("LAVAD (stored captions, CLIP)", "F3", [known])
    systems = [*SYSTEMS, "lavad"]
    text = as_markdown(comparison_tables([row], "world", "strict", "val", "T", systems))
    source = "measured, strict, without training, captions rated by model, a note, crop 0"
    assert f"| {source} |" in text
    assert "LAVAD has no measured row" not in text
    assert "VERA has no measured row" in text
    assert "training_seconds" not in comparison_csv([row])


def test_quoted_rows_refer_to_what_is_wrong_with_them() -> None:
    text = markdown("ucf_crime")
    (row,) = [line for line in text.splitlines() if line.startswith("| AVVD (2022) [")]
    assert "84.57" in row
    assert "HL-Net" in text
    text = markdown("xd_violence")
    assert "88.26" in text
    assert "| VERA (2024) [" in text


def test_native_selection_has_columns_of_its_own() -> None:
    native = {"frame_auc": 0.99, "frame_ap": 0.7}
    row = Row("RealAD", "F2", [record(0, native=native)])
    tables = comparison_tables([row], "ucf_crime", "vadclip", "val", "T", [*SYSTEMS])
    lines = as_markdown(tables).splitlines()
    assert "| method | frame AUC | frame AP | AUC, native selection | AP, native selection" in str(
        lines
    )
    measured = [line for line in lines if line.startswith("| RealAD, F2 |")][1]
    assert "| 80.00 [70.00, 90.00] | 50.00 | 99.00 | 70.00 |" in measured


def test_efficiency_has_measured_and_quoted_rows() -> None:
    lines = markdown("world").splitlines()
    size = "T = 256, D = 512, one CPU core"
    assert f"| RealAD | 0.279 | 2.00 | 0.071 | 12.00 ± 0.00 | measured, {size} |" in lines
    assert any(line.startswith("| RTFM [1] | 24.72 | 8.28 | 126.59 |") for line in lines)


def test_every_name_of_the_papers_tables_has_a_system_or_a_reason() -> None:
    names = read_paper_file("systems.yaml")["names"]
    for dataset in ("ucf_crime", "xd_violence"):
        paper = quoted_results(dataset)
        assert paper is not None
        quoted = {name.split(" (")[0] for name in [*paper["fine"], *paper["coarse"]["methods"]]}
        assert quoted - {"Random baseline"} <= set(names)
    for name, entry in names.items():
        assert entry["system"] in SYSTEMS or entry["why"], name
    assert not reasons_of_absence([entry["system"] for entry in names.values()])
    text = markdown("ucf_crime")
    assert "TCVADS has no measured row: no code is public" in text
    assert "TEVAD (CLIP text), F2: the videos have no text" in text


def test_every_footnote_names_rows_that_exist() -> None:
    for note in read_paper_file("systems.yaml")["notes"]:
        for dataset in note["datasets"]:
            paper = quoted_results(dataset)
            assert paper is not None
            listed = {*paper["fine"], *paper["coarse"]["methods"]}
            known = {name.split(" (")[0] for name in listed}
            assert set(note["names"]) <= known, note["text"]


def test_csv_has_every_metric_of_every_seed() -> None:
    parsed = list(csv.DictReader(io.StringIO(comparison_csv(rows()))))
    assert tuple(parsed[0]) == CSV_COLUMNS
    values = {(row["seed"], row["class"], row["metric"]): row for row in parsed}
    assert values["1", "", "frame_auc"]["value"] == "0.9"
    assert float(values["1", "", "frame_auc"]["low"]) == pytest.approx(0.8)
    assert values["0", "Arson", "latency_ap"]["value"] == "0.3"
    assert values["0", "", "parameters"]["value"] == "279105"


def test_page_shows_the_notes() -> None:
    tables = comparison_tables(rows(), "ucf_crime", "vadclip", "val", "T = 256", [*SYSTEMS])
    page = render_tables("exvad compare", tables)
    assert "<li>[1] The source of this row can&#39;t be traced" in page
    assert '<tr class="measured"><th scope="row">RealAD, F2<small>measured' in page
