"""The page of a server that asks for keys: sign in once, and all of it works."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.browsing import PATIENCE, chromium
from tests.helpers.server import Server
from tests.helpers.videos import write_video


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Server]:
    keys = tmp_path / "keys"
    keys.write_text(f"submit {hashlib.sha256(b'the right key').hexdigest()}\n")
    server = Server(tmp_path, api_keys=keys)
    server.begin()
    yield server
    server.end()


@pytest.fixture
def page(locked: Server) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(locked.url)
        yield page


def test_who_has_a_key_signs_in_and_sees_pictures_too(page: Page, tmp_path: Path) -> None:
    dialog = page.get_by_role("dialog", name="Sign in")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    key = dialog.get_by_label("API key")
    key.fill("a wrong key")
    key.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text("This key is not known here.")
    key.fill("the right key")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_be_hidden()
    page.set_input_files("#file", write_video(tmp_path / "clip.mp4", 48, size=(64, 48)))
    picture = page.locator("#evidence img").first
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('#evidence img').naturalWidth > 0")
    page.reload()
    expect(page.get_by_text("clip.mp4").first).to_be_visible()
    expect(dialog).to_be_hidden()
    assert page.evaluate("() => document.cookie") == ""
