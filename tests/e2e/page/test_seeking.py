"""The page seeks to the frame that a time is about, in files that players count otherwise."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.helpers.browsing import Tab, open_tab
from tests.helpers.page_servers import AnalysisServer
from tests.helpers.sound import write_late_video
from tests.helpers.videos import read_index

LEAD = 2.0
SHOWN_FRAME = """() => {
  const video = document.querySelector("#player");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnalysisServer]:
    server = AnalysisServer(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def tab(browser: Browser, server: AnalysisServer) -> Iterator[Tab]:
    with open_tab(browser, server.url) as tab:
        yield tab


def shown_index(page: Page) -> int:
    """Return the index of the frame that the player shows."""
    image = Image.open(io.BytesIO(base64.b64decode(page.evaluate(SHOWN_FRAME))))
    return read_index(np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_player_shows_the_frame_of_an_event_where_sound_begins_before_the_first_frame(
    tab: Tab, tmp_path: Path, suffix: str
) -> None:
    page = tab.open()
    page.locator("#file").set_input_files(write_late_video(tmp_path / f"late.{suffix}", LEAD))
    page.get_by_role("button", name="road accidents").click()  # begins at second 3.2 of the frames
    expect(page.locator("#player")).to_have_js_property("seeking", False)
    page.wait_for_function("() => document.querySelector('#player').currentTime > 3.3")
    page.wait_for_function("() => document.querySelector('#player').readyState >= 2")
    assert shown_index(page) in (31, 32)  # whether 5.2 seconds are frame 32 is up to rounding
    cursor = page.locator("#timeline .cursor")
    expect(cursor).to_have_attribute("x1", str(1000 * 3.2 / 4.8))
    page.locator("#timeline").click(position={"x": 1, "y": 20})
    page.wait_for_function("() => document.querySelector('#player').currentTime < 2.2")
    page.wait_for_function("() => !document.querySelector('#player').seeking")
    assert shown_index(page) == 0
