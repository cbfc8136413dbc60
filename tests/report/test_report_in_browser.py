"""Chromium shows reports, with sliders and filters, and runs no foreign code."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exvad.report.pages import render_analyses, render_run
from exvad.report.report_video import ReportVideo
from tests.helpers.report_cases import FIGHT, Page, make_analysis, make_run, make_videos

Browser = Callable[..., str]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """Return a function that opens a page in headless Chromium and returns its output."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")

    def run(html: str, *flags: str) -> str:
        page = tmp_path / "report.html"
        page.write_text(html, encoding="utf-8")
        quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking"
        quiet += " --disable-component-update --disable-sync"
        command = [program, "--headless", "--no-sandbox", *quiet.split()]
        command += [f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
        return done.stdout

    return run


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
