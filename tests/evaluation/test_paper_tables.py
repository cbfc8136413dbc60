"""Tables in the paper's layout tell measured from quoted."""

from __future__ import annotations

import statistics
import xml.etree.ElementTree as ET

import pytest

from exvad.evaluation.paper_tables import (
    Table,
    as_markdown,
    as_page,
    quoted,
    result_tables,
    summarise,
)

RUN = {
    **{f"map_vadclip_{iou}": 10.0 for iou in ("0.1", "0.2", "0.3", "0.4", "0.5", "average")},
    "frame_auc": 0.8,
    "frame_ap": 0.5,
}


def test_several_seeds_are_mean_and_deviation() -> None:
    runs = [{"frame_auc": value} for value in (0.8, 0.9, 0.7)]
    found = summarise(runs, "frame_auc", 100)
    assert found is not None
    assert found.mean == pytest.approx(80)
    assert found.deviation == pytest.approx(100 * statistics.stdev([0.8, 0.9, 0.7]))
    assert str(found) == "80.00 ± 10.00"
    assert str(summarise(runs[:1], "frame_auc")) == "0.80"


def test_a_figure_that_a_run_lacks_is_a_dash() -> None:
    assert summarise([{"a": 1.0}, {"a": None}], "a") is None
    table = Table("t", ["", "a", "source"], [["x", None, "measured"]])
    assert "| x | – | measured |" in table.markdown()
    assert "<td>x</td><td>–</td>" in table.html()


@pytest.mark.parametrize(("dataset", "figure"), [("ucf_crime", "80.00"), ("xd_violence", "50.00")])
def test_measured_rows_stand_beside_the_papers(dataset: str, figure: str) -> None:
    random_baseline = {"map_vadclip_0.1": 0.2, "map_vadclip_average": 0.1}
    text = as_markdown(result_tables(dataset, [RUN], random_baseline, "vadclip", "val"))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    ours = [row for row in rows if row.startswith("| exvad |")]
    assert len(ours) == 2
    assert all(row.endswith("| measured, vadclip, 1 seed |") for row in ours)
    assert figure in ours[1]
    theirs = [row for row in rows if row.startswith("| Ex-VAD (2025)")]
    assert len(theirs) == 2
    assert all(row.endswith("| quoted |") for row in theirs)
    assert "| guessing | 0.20 | – | – | – | – | 0.10 | measured, vadclip |" in rows


def test_the_page_tells_quoted_rows_from_measured_ones() -> None:
    tables = result_tables("ucf_crime", [RUN], {}, "vadclip", "val")
    page = as_page("a < b", tables).split("\n", 1)[1]
    root = ET.fromstring(page.replace('<meta charset="utf-8">', ""))
    rows = {row[0].text: row.get("class") for row in root.iter("tr") if row.get("class")}
    assert rows["Ex-VAD (2025)"] == "quoted"
    assert rows["exvad"] == rows["guessing"] == "measured"
    assert root.findtext("body/h1") == "a < b"


def test_selection_on_the_test_split_is_said() -> None:
    text = as_markdown(result_tables("ucf_crime", [RUN, RUN], {}, "vadclip", "test"))
    assert text.count("2 seeds, epoch chosen on the test split") == 2


def test_the_papers_averages_are_those_of_its_rows() -> None:
    """Table 2 rounds some averages in its own way; a slip of the quoting hand would be larger."""
    for dataset in ("ucf_crime", "xd_violence"):
        paper = quoted(dataset)
        assert paper is not None
        for *per_iou, average in paper["fine"].values():
            assert len(per_iou) == 5
            assert average == pytest.approx(statistics.mean(per_iou), abs=0.3)
    assert quoted("world") is None
