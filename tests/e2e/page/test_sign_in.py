"""The page of a server that requires API keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.browsing import TIMEOUT_MS
from tests.helpers.server import Server
from tests.helpers.videos import write_video


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    keys = tmp_path / "keys"
    keys.write_text(f"submit {hashlib.sha256(b'the right key').hexdigest()}\n")
    with Server(tmp_path, api_keys=keys) as server:
        server.start_worker()
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(server.url)
    yield page
    context.close()


def test_sign_in_gives_access_to_analyses_and_frames(page: Page, tmp_path: Path) -> None:
    dialog = page.get_by_role("dialog", name="Sign in")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    key = dialog.get_by_label("API key")
    key.fill("a wrong key")
    key.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text("This API key is not valid.")
    key.fill("the right key")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_be_hidden()
    page.set_input_files("#file", write_video(tmp_path / "clip.mp4", 48, size=(64, 48)))
    expect(page.locator("#evidence img").first).to_be_visible()
    page.wait_for_function("() => document.querySelector('#evidence img').naturalWidth > 0")
    page.reload()
    expect(page.get_by_text("clip.mp4").first).to_be_visible()
    expect(dialog).to_be_hidden()
    assert page.evaluate("() => document.cookie") == ""
