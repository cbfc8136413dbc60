"""Chromium shows reports, with sliders and filters, and runs no foreign code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exvad.report.pages import render_analyses, render_run
from exvad.report.report_video import ReportVideo
from tests.helpers.headless import Browser
from tests.helpers.report_cases import FIGHT, Page, make_analysis, make_run, make_videos


def test_browser_adds_a_slider_to_each_timeline_and_runs_no_foreign_code(
    browser: Browser,
) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\">"
    hostile = ReportVideo(make_analysis(FIGHT, name="bad.mp4", sentence=attack), {}, "Fighting")
    dom = browser(render_analyses([*make_videos(), hostile], "Five videos"), "--dump-dom")
    assert "<title>Five videos</title>" in dom
    assert '<html lang="en" class="js">' in dom
    sliders = [attributes for tag, attributes in Page(dom).attributes if tag == "input"]
    assert len(sliders) == 5
    assert all(slider["aria-valuetext"] == "0:00, score 8\u202f%" for slider in sliders)


def test_filters_show_only_the_chosen_outcomes_and_classes(browser: Browser) -> None:
    html = re.sub(r"<meta http-equiv=[^>]*>", "", render_analyses(make_videos(), "Four videos"))
    click = "for (const v of {}) document.querySelector(`[data-value='${{v}}']`).click();"

    def shown(*values: str) -> tuple[list[str], str]:
        script = f"<script>{click.format(list(values))}</script></body>"
        page = Page(browser(html.replace("</body>", script), "--dump-dom"))
        cards = [
            str(attributes["id"])
            for tag, attributes in page.attributes
            if tag == "article" and "hidden" not in attributes
        ]
        return cards, " ".join(page.text.split())

    cards, text = shown("missed", "false-alarm")
    assert cards == ["v3", "v4"]
    assert "Showing 2 of 4 videos." in text
    assert shown("false-alarm", "Arson")[0] == ["v4"]
    cards, text = shown("missed", "missed")
    assert cards == ["v1", "v2", "v3", "v4"]
    assert "4 videos: 1 found" in text


@pytest.mark.parametrize("size", ["1280,1600", "500,1600"])
def test_browser_paints_the_page(browser: Browser, tmp_path: Path, size: str) -> None:
    shot = tmp_path / "shot.png"
    browser(render_run(make_run()), f"--screenshot={shot}", f"--window-size={size}")
    image = np.asarray(Image.open(shot).convert("L"))
    assert image.shape[1] == int(size.split(",")[0])
    assert image.std() > 10


def test_index_shows_the_end_of_a_long_name(browser: Browser) -> None:
    folder = "/a/long/path/to/the/videos/of/a/camera"
    videos = [
        ReportVideo(make_analysis(name=f"{folder}/{name}.mp4"), {}, "") for name in ("one", "two")
    ]
    html = re.sub(r"<meta http-equiv=[^>]*>", "", render_analyses(videos, "Two videos"))
    script = """<script>
      const tile = document.querySelector(".tile-name");
      const box = tile.getBoundingClientRect();
      const name = tile.querySelector("bdi").firstChild;
      const range = document.createRange();
      range.setStart(name, name.length - 7);
      range.setEnd(name, name.length);
      const end = range.getBoundingClientRect();
      const cut = tile.scrollWidth > tile.clientWidth;
      document.title = [cut, end.left >= box.left && end.right <= box.right + 1].join(" ");
    </script></body>"""
    assert "<title>true true</title>" in browser(html.replace("</body>", script), "--dump-dom")
