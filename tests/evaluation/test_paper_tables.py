"""Tables in the paper's layout mark measured and quoted rows."""

from __future__ import annotations

import statistics

import pytest

from exvad.evaluation.paper_tables import (
    PaperTable,
    as_markdown,
    estimate,
    quoted_results,
    result_tables,
)

RUN = {
    **{f"map_vadclip_{iou}": 10.0 for iou in ("0.1", "0.2", "0.3", "0.4", "0.5", "average")},
    "frame_auc": 0.8,
    "frame_ap": 0.5,
}


def test_estimate_gives_mean_and_deviation_of_several_seeds() -> None:
    runs = [{"frame_auc": value} for value in (0.8, 0.9, 0.7)]
    result = estimate(runs, "frame_auc", 100)
    assert result is not None
    assert result.mean == pytest.approx(80)
    assert result.deviation == pytest.approx(100 * statistics.stdev([0.8, 0.9, 0.7]))
    assert str(result) == "80.00 ± 10.00"
    assert str(estimate(runs[:1], "frame_auc")) == "0.80"


def test_tables_show_a_dash_for_a_metric_that_a_run_lacks() -> None:
    assert estimate([{"a": 1.0}, {"a": None}], "a") is None
    table = PaperTable("t", ["", "a", "source"], [["x", None, "measured"]])
    assert "| x | – | measured |" in table.markdown()


@pytest.mark.parametrize(("dataset", "value"), [("ucf_crime", "80.00"), ("xd_violence", "50.00")])
def test_result_tables_have_measured_rows_beside_quoted_ones(dataset: str, value: str) -> None:
    random_baseline = {"map_vadclip_0.1": 0.2, "map_vadclip_average": 0.1}
    text = as_markdown(result_tables(dataset, [RUN], random_baseline, "vadclip", "val"))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    measured = [row for row in rows if row.startswith("| exvad |")]
    assert len(measured) == 2
    assert all(row.endswith("| measured, vadclip, 1 seed |") for row in measured)
    assert value in measured[1]
    quoted = [row for row in rows if row.startswith("| Ex-VAD (2025)")]
    assert len(quoted) == 2
    assert all(row.endswith("| quoted |") for row in quoted)
    assert "| random baseline | 0.20 | – | – | – | – | 0.10 | measured, vadclip |" in rows


def test_result_tables_name_the_split_of_selection_unless_validation() -> None:
    text = as_markdown(result_tables("ucf_crime", [RUN, RUN], {}, "vadclip", "test"))
    assert text.count("2 seeds, epoch chosen on the test split") == 2


def test_quoted_averages_are_those_of_their_rows() -> None:
    """Table 2 rounds some averages differently; a typing error would be larger."""
    for dataset in ("ucf_crime", "xd_violence"):
        paper = quoted_results(dataset)
        assert paper is not None
        for *per_iou, average in paper["fine"].values():
            assert len(per_iou) == 5
            assert average == pytest.approx(statistics.mean(per_iou), abs=0.3)
    assert quoted_results("world") is None
