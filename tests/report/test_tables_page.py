"""The page of the paper's tables marks quoted and measured rows."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from exvad.evaluation.paper_tables import PaperTable, result_tables
from exvad.report.tables_page import render_tables
from tests.helpers.headless import Browser

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
    assert "x<small>measured</small></th><td>–</td>" in page
    assert "<svg><title>drawn</title></svg>" in page


def test_render_tables_puts_sources_and_intervals_below_what_they_belong_to() -> None:
    source = "measured, 3 seeds, epoch chosen on val by labels of videos"
    table = PaperTable("t", ["method", "AUC", "source"], [["x", "94.4 ± 0.7 [90.7, 97.2]", source]])
    root = parse(render_tables("t", [table]))
    assert [cell.text for cell in root.iter("th")] == ["method", "AUC", "x"]
    assert [cell.text for cell in root.iter("td")] == ["94.4 ± 0.7"]
    assert [small.text for small in root.iter("small")] == [source, "[90.7, 97.2]"]


def test_render_tables_scrolls_a_wide_table_in_its_own_box(browser: Browser) -> None:
    columns = ["method", *(f"metric {number}" for number in range(20)), "source"]
    cells = ["94.38 ± 0.68 [90.65, 97.16]"] * 20
    source = "measured, 3 seeds, epoch chosen on val by labels of videos, text: explanation"
    page = render_tables("t", [PaperTable("t", columns, [["x", *cells, source]])])
    script = """<script>
      const row = document.querySelector("tbody tr").getBoundingClientRect();
      const root = document.documentElement;
      document.title = [root.scrollWidth <= root.clientWidth, row.height < 90].join(" ");
    </script></body>"""
    dom = browser(page.replace("</body>", script), "--dump-dom", "--window-size=1400,900")
    assert "<title>true true</title>" in dom
