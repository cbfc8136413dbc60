"""The page of a server with a manifest: events are confirmed, rejected, corrected and added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from exvad.data.manifest_files import read_manifest
from exvad.data.records import TimedEvent
from tests.helpers import browsing
from tests.helpers.browsing import open_tab
from tests.helpers.page_servers import PausingDetector
from tests.helpers.server import Server
from tests.helpers.videos import write_video
from tests.helpers.waiting import holds_within


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a manifest, whose detector finds a fire and an accident in every video."""
    with Server(tmp_path, manifest=tmp_path / "labels.csv") as server:
        server.start_worker(PausingDetector())
        yield server


def stored_events(manifest: Path) -> set[TimedEvent]:
    """Return the events of the only video of a manifest."""
    (video,) = read_manifest(manifest).videos
    return set(video.timed_events)


def test_labels_of_a_person_are_in_the_manifest(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "a clip.mp4", 48, fps=10, size=(320, 240))
    with open_tab(browser, server.url) as tab:
        page = tab.open()
        page.locator("#file").set_input_files(clip)
        expect(page.locator("#review-state")).to_have_text("Nobody has looked at this video yet.")
        expect(page.get_by_role("group", name="Review", exact=True)).to_be_hidden()
        assert browsing.num_tab_stops(page) >= browsing.num_controls(page) > 12

        page.evaluate("() => { location.hash = 'videos'; }")
        expect(page.locator("#labelling-summary")).to_contain_text("left out: 1 that nobody")
        page.get_by_role("link", name="Label the next video").click()
        expect(page.locator("#analysis-name")).to_have_text("a clip.mp4")
        expect(page.locator("#labelling")).to_be_hidden()
        expect(page.locator("#label-advice")).to_have_text("")

        first = page.get_by_role("group", name="Event 1")
        second = page.get_by_role("group", name="Event 2")
        first.get_by_role("button", name="Confirm").click()
        expect(page.locator("#review-state")).to_have_text("Events to decide: 1")
        second.get_by_role("button", name="Reject").click()
        expect(page.locator("#review-state")).to_have_text("Reviewed: abnormal")
        expect(page.locator("#label-advice")).to_contain_text("Arson has 1, normal has 0")
        expect(page.locator("#analyses small").first).to_contain_text("reviewed")

        end = first.get_by_role("textbox", name="End")
        end.fill("0:01")
        end.press("Tab")
        expect(page.locator("#notice")).to_contain_text("the end of an event must be above")
        tab.expect_errors("status of 422")
        end.fill("0:02.5")
        end.press("Tab")
        expect(page.locator("#notice")).to_have_text("")
        page.get_by_role("button", name="Add an event here").click()
        third = page.get_by_role("group", name="Event 3")
        third.get_by_role("combobox", name="Class").fill("Fall")
        third.get_by_role("combobox", name="Class").press("Tab")
        expect(page.locator("#label-summary")).to_contain_text("1 video (1 abnormal, 0 normal)")
        corrected = {TimedEvent(1.6, 2.5, "Arson"), TimedEvent(0, 4.8, "Fall")}
        # The words of the page are the same before the class is stored.
        assert holds_within(20, lambda: stored_events(tmp_path / "labels.csv") == corrected)

        page.get_by_role("button", name="Start again").click()
        expect(page.locator("#review-state")).to_have_text("Nobody has looked at this video yet.")
        page.get_by_role("button", name="Reject all others").click()
        expect(page.locator("#review-state")).to_have_text("Reviewed: normal")
        (video,) = read_manifest(tmp_path / "labels.csv").videos
        assert video.labels == ("Normal",)
