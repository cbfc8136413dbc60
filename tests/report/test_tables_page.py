"""The page of the paper's tables marks quoted and measured rows."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from exvad.evaluation.paper_tables import PaperTable, result_tables
from exvad.report.tables_page import render_tables

RUN = {
    **{f"map_vadclip_{iou}": 10.0 for iou in ("0.1", "0.2", "0.3", "0.4", "0.5", "average")},
    "frame_auc": 0.8,
    "frame_ap": 0.5,
}


def parse(page: str) -> ET.Element:
    """Parse a page as XML after closing its meta tags."""
    html = page.split("<!doctype html>", 1)[1]
    return ET.fromstring(html.replace('"utf-8">', '"utf-8"/>').replace('scale=1">', 'scale=1"/>'))


def test_render_tables_marks_quoted_and_measured_rows() -> None:
    tables = result_tables("ucf_crime", [RUN], {}, "vadclip", "val")
    root = parse(render_tables("a < b", tables))
    rows = {row[0].text: row.get("class") for row in root.iter("tr") if row.get("class")}
    assert rows["Ex-VAD (2025)"] == "quoted"
    assert rows["exvad"] == rows["random baseline"] == "measured"
    assert root.findtext("body/h1") == "a < b"


def test_render_tables_shows_a_dash_for_unknown_values_and_the_drawings() -> None:
    table = PaperTable("t", ["", "a", "source"], [["x", None, "measured"]])
    page = render_tables("t", [table], ["<svg><title>drawn</title></svg>"])
    assert "<td>x</td><td>–</td>" in page
    assert "<svg><title>drawn</title></svg>" in page
