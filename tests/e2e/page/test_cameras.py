"""The grid of all cameras, the alerts of a day, and clips, in a real browser over the real API."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from exvad.serving.recording.ring import Limits, RecordingRing
from exvad.serving.schemas.streams import StreamOptions
from tests.helpers.browsing import Tab
from tests.helpers.page_servers import EARLY_FRAME, StreamServer, open_stream
from tests.helpers.recordings import record
from tests.helpers.videos import write_video


def test_grid_shows_every_camera_with_its_problem(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    yard = stream_server.watch("yard")
    door = stream_server.watch("door")
    stream_server.publish_scores(door, [1, 2, 3], 0.9)
    alert = stream_server.publish_alert(door)
    stream_server.publish_end(door, alert, 20)
    problem = "the camera refuses connections to this port"
    stream_server.publish_notice(yard, "lost", f"yard: {problem}")
    page = stream_tab.open("#live")
    cards = page.locator("#camera-grid > li")
    expect(cards).to_have_count(2)
    first, second = cards.nth(0), cards.nth(1)
    expect(first).to_contain_text("door")
    expect(first).to_contain_text("watching")
    expect(first.locator(".camera-score.alarm")).to_have_text("Score 0.90")
    expect(first).to_contain_text("arson · 1 to review")
    expect(first.get_by_role("img", name="Last alert of door")).to_be_visible()
    assert first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    expect(first.locator("path.score")).to_have_count(1)
    expect(second).to_contain_text("source lost")
    expect(second.locator(".camera-problem")).to_have_text(problem)  # the name stands above it
    expect(second).to_contain_text("No picture yet")
    page.locator("#camera-grid").get_by_role("link", name="yard").click()
    expect(page.locator("#stream-name")).to_have_text("yard")
    expect(page.locator("#stream-notice")).to_have_text(problem)
    expect(page.locator("#camera-grid")).to_be_hidden()
    stream_tab.expect_errors(EARLY_FRAME)


def test_an_alert_leads_to_its_clip(
    stream_tab: Tab, stream_server: StreamServer, tmp_path: Path
) -> None:
    options = StreamOptions(keep_hours=1)
    kept, not_kept = stream_server.watch("door", options), stream_server.watch("yard")
    folder = stream_server.settings.recordings / kept
    ring = RecordingRing(folder, Limits(1, 2**30, 0))
    video = write_video(tmp_path / "clip.ts", 150, gop=25, size=(64, 48))
    for fragment in record(video)[0]:
        ring.append(fragment)
    for stream_id in (kept, not_kept):
        alert = stream_server.publish_alert(stream_id, start=2, end=4)
        stream_server.publish_end(stream_id, alert, 4)
    page = open_stream(stream_tab, kept)
    link = page.get_by_role("link", name="Clip of alert 1, arson")
    address = f"v1/streams/{kept}/alerts/1/clip"
    expect(link).to_have_attribute("href", address)
    mark = page.locator("#day-alerts").get_by_role("link")
    expect(mark).to_have_attribute("href", address)
    expect(mark).to_have_attribute(
        "title", re.compile("arson, 0:02, peak score 0.93, open its clip$")
    )
    # The ticks of the time of day lie side by side, each whole.
    assert page.locator("#day-ticks").evaluate(
        """(list) => {
          const ends = [...list.children].map((tick) => tick.offsetLeft + tick.offsetWidth);
          const starts = [...list.children].slice(1).map((tick) => tick.offsetLeft);
          return ends.length > 1 && [...starts, list.clientWidth].every((to, i) => ends[i] <= to);
        }"""
    )
    played = page.evaluate(
        """(address) => new Promise((resolve) => {
          const video = document.createElement("video");
          video.muted = true;
          video.addEventListener("loadeddata", () => resolve([video.videoWidth, video.duration]));
          video.addEventListener("error", () => resolve([video.error.code, video.error.message]));
          video.src = address;
        })""",
        address,
    )
    assert played[0] == 64, played
    page = open_stream(stream_tab, not_kept)
    expect(page.locator("#day-alerts").get_by_role("img")).to_have_count(1)
    expect(page.locator("#alerts .clip")).to_be_hidden()
