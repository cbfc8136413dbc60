"""Fixtures of the tests of reports."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.headless import Browser


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
