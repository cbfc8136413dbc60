"""Uploads that the server has no room for, and the page behind a proxy, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from exvad.serving.queue.analyses import AnalysisQueue
from tests.helpers.browsing import Tab, open_tab
from tests.helpers.page_servers import PausingDetector
from tests.helpers.reverse_proxy import run_proxy
from tests.helpers.server import Server
from tests.helpers.videos import write_video

NUM_FILES = 5
STATUS = "#upload-status"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    clip = write_video(folder / "1.mp4", 48, fps=10, size=(320, 240))
    return [clip, *(Path(shutil.copy(clip, folder / f"{n}.mp4")) for n in range(2, NUM_FILES + 1))]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server without a worker, on which at most two analyses wait."""
    with Server(tmp_path) as server:
        yield server


@pytest.fixture
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    with open_tab(browser, server.url) as tab:
        yield tab


def expect_names(page: Page, *names: str) -> None:
    expect(page.locator("#analyses b")).to_have_text(list(names))


def test_files_beyond_the_limit_wait_until_the_server_has_room(
    tab: Tab, server: Server, clips: list[Path]
) -> None:
    page = tab.open()
    page.locator("#file").set_input_files([clips[0], clips[1], clips[2]])
    expect(page.locator(STATUS)).to_contain_text("no room for more videos now. 1 video will be")
    # What is dropped meanwhile waits behind the others, and no request was refused.
    page.locator("#file").set_input_files(clips[3:])
    expect(page.locator(STATUS)).to_contain_text("3 videos will be sent")
    expect_names(page, "2.mp4", "1.mp4")
    server.start_worker()
    expect_names(page, "5.mp4", "4.mp4", "3.mp4", "2.mp4", "1.mp4")
    expect(page.locator("#upload")).to_be_hidden()
    expect(page.locator("#notice")).to_be_empty()


def test_upload_takes_what_to_look_for_and_what_is_normal(
    tab: Tab, server: Server, clips: list[Path]
) -> None:
    page = tab.open()
    page.get_by_text("What to look for").click()
    page.get_by_label("Classes to look for, one per line").fill("queue")
    page.locator("#file").set_input_files(clips[0])
    expect(page.get_by_text("“queue”: write each class as name: description")).to_be_visible()
    page.get_by_label("Classes to look for, one per line").fill("queue: a line; people & cars wait")
    page.get_by_label("Normal scenes, one per line").fill("people jog here\ndogs run\n")
    page.locator("#file").set_input_files(clips[1])
    expect_names(page, "2.mp4")
    claim = AnalysisQueue(server.settings.database_path).claim("the test")
    assert claim is not None
    assert claim.options.categories == {"queue": ["a line", "people & cars wait"]}
    assert claim.options.normal == ["people jog here", "dogs run"]


def test_page_waits_as_long_as_the_server_says(tab: Tab, clips: list[Path]) -> None:
    problem = {"detail": "the server's disk is full"}

    def refuse(route: Route) -> None:
        route.fulfill(status=507, headers={"Retry-After": "1"}, json=problem)

    page = tab.open()
    page.route("**/v1/analyses", refuse, times=1)
    page.locator("#file").set_input_files(clips[0])
    expect(page.locator(STATUS)).to_have_text(
        "the server's disk is full. 1 video will be sent when it is possible."
    )
    expect_names(page, "1.mp4")
    tab.expect_errors("status of 507")


def test_upload_goes_on_after_a_connection_was_lost(tab: Tab, clips: list[Path]) -> None:
    page = tab.open()
    expect(page.get_by_text("No analyses yet.")).to_be_visible()
    page.route("**/v1/analyses?*", lambda route: route.abort(), times=1)
    page.locator("#file").set_input_files(clips[0])
    expect_names(page, "1.mp4")
    tab.expect_errors("ERR_FAILED")


def test_uploads_that_wait_can_be_stopped(tab: Tab, clips: list[Path]) -> None:
    page = tab.open()
    page.locator("#file").set_input_files(clips)
    expect(page.locator(STATUS)).to_contain_text("3 videos will be sent")
    page.get_by_role("button", name="Stop uploading").click()
    expect(page.locator("#upload")).to_be_hidden()
    expect_names(page, "2.mp4", "1.mp4")


def test_refused_files_stay_listed_and_in_sight_until_they_are_dismissed(
    tab: Tab, clips: list[Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    page = tab.open()
    page.locator("#file").set_input_files(empty)
    notice = page.get_by_role("status").filter(has_text="empty.mp4: the file is empty")
    expect(notice).to_be_in_viewport()
    page.locator("#file").set_input_files(clips[0])
    expect_names(page, "1.mp4")
    page.get_by_role("link", name="Live").click()
    expect(notice).to_be_in_viewport()
    page.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)
    tab.expect_errors("status of 422")


def test_error_is_in_sight_wherever_the_page_is_scrolled_to(
    browser: Browser, server: Server, clips: list[Path]
) -> None:
    server.start_worker()
    with open_tab(browser, server.url, viewport={"width": 390, "height": 500}) as tab:
        page = tab.open()
        page.locator("#file").set_input_files(clips[0])
        button = page.get_by_role("button", name="Reviewed")
        button.scroll_into_view_if_needed()
        page.route(
            "**/v1/analyses/*",
            lambda route: route.fulfill(status=403, json={"detail": "this key may not"}),
        )
        button.click()
        expect(page.get_by_text("this key may not")).to_be_in_viewport(ratio=1)
        tab.expect_errors("status of 403")


def test_page_works_below_a_path_behind_a_proxy(
    browser: Browser, tmp_path: Path, clips: list[Path]
) -> None:
    with (
        run_proxy("/cameras/exvad") as proxy,
        Server(tmp_path, public_url=proxy.url) as server,
        open_tab(browser, proxy.url) as tab,
    ):
        proxy.target = server.url.removeprefix("http://")
        server.start_worker(PausingDetector())
        page = tab.open()
        page.locator("#file").set_input_files(clips[0])
        expect(page.locator("#verdict")).to_contain_text("Abnormal: arson")
        image = page.locator("#evidence img").first
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth > 0", arg=image.element_handle())
        page.get_by_role("button", name="Reviewed").click()
        expect(page.get_by_role("button", name="Reviewed", pressed=True)).to_be_visible()
        report = page.get_by_role("link", name="Full report").get_attribute("href")
        assert page.request.get(f"{proxy.url}/{report}").ok
