"""The page's view of videos, in a real browser: mouse, keyboard, screen reader, phone."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from exvad.results import DomainCheck
from tests.helpers import browsing
from tests.helpers.browsing import MARKUP, PHONE, Tab, open_tab
from tests.helpers.page_servers import AnalysisServer
from tests.helpers.videos import write_video

VERDICT = "Abnormal: arson, road accidents"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnalysisServer]:
    server = AnalysisServer(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "a clip.mp4"
    return write_video(path, 48, fps=10, size=(320, 240))


@pytest.fixture
def tab(browser: Browser, server: AnalysisServer) -> Iterator[Tab]:
    with open_tab(browser, server.url) as tab:
        yield tab


def upload_and_wait(tab: Tab, clip: Path) -> Page:
    """Upload a video and wait for its result."""
    page = tab.open()
    page.locator("#file").set_input_files(clip)
    expect(page.locator("#verdict")).to_have_text(VERDICT)
    return page


def expect_player_at(page: Page, seconds: float) -> None:
    """Wait until the player is at a time."""
    page.wait_for_function(
        "time => Math.abs(document.querySelector('#player').currentTime - time) < 0.06",
        arg=seconds,
    )


def test_video_outside_the_domain_says_so_first_and_in_the_list(
    tab: Tab, server: AnalysisServer, clip: Path
) -> None:
    text = "Outside the domain of this checkpoint: it is a demonstration."
    server.detector.domain = DomainCheck(state="outside", distance=2.0, text=text)
    try:
        page = upload_and_wait(tab, clip)
    finally:
        server.detector.domain = None
    expect(page.locator("#domain")).to_have_text(text)
    row = page.locator("#analyses li").first
    expect(row).to_contain_text("outside the checkpoint’s domain")
    expect(row.locator(".tag")).not_to_have_class(re.compile("alarm|normal"))
    page = upload_and_wait(tab, clip)
    expect(page.locator("#domain")).to_be_hidden()
    expect(page.locator("#analyses li").first.locator(".tag")).to_have_class(re.compile("alarm"))


def test_upload_shows_progress_and_then_the_result(
    tab: Tab, server: AnalysisServer, clip: Path
) -> None:
    server.detector.resume.clear()
    page = tab.open()
    page.get_by_label("Upload videos").set_input_files(clip)
    expect(page.locator("#progress-stage")).to_have_text("Analyzing: 50 %")
    expect(page.locator("#progress")).to_have_js_property("value", 0.5)
    expect(page.locator("#explanation-draft")).to_have_text("a bin …")
    expect(page.locator("#analyses .tag").first).to_have_text("50 %")
    server.detector.resume.set()
    expect(page.locator("#verdict")).to_have_text(VERDICT)
    expect(page.locator("#running")).to_be_hidden()
    expect(page.get_by_role("heading", name="a clip.mp4")).to_be_visible()
    expect(page.locator("#analyses .tag").first).to_have_text("arson")

    chart = page.get_by_role(
        "img", name="arson from 0:02 to 0:03; road accidents from 0:03 to 0:04"
    )
    expect(chart).to_be_visible()
    expect(chart.locator("path.score")).to_have_count(1)
    fill = "element => getComputedStyle(element).fill"
    span_colours = [span.evaluate(fill) for span in chart.locator("rect:not(.span)").all()]
    background = "element => getComputedStyle(element).backgroundColor"
    dot_colours = [dot.evaluate(background) for dot in page.locator("#events .dot").all()]
    assert span_colours == dot_colours
    assert len(set(dot_colours)) == 2

    expect(page.locator("#explanation-summary")).to_contain_text("a bin burns")
    images = page.locator("#evidence img").all()
    assert len(images) == 2
    for image in images:
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth > 0", arg=image.element_handle())


def test_drop_uploads_all_videos_and_opens_the_first(tab: Tab, clip: Path) -> None:
    page = tab.open("#live")
    data = page.evaluate_handle(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
          const data = new DataTransfer();
          for (const number of [1, 2]) data.items.add(new File([bytes], `${number} ${name}`));
          return data;
        }""",
        ["dropped.mp4", base64.b64encode(clip.read_bytes()).decode()],
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(page.locator("#drop-zone")).to_have_class("over")
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.locator("#drop-zone")).not_to_have_class("over")
    expect(page.locator("#analyses b").first).to_have_text("2 dropped.mp4")
    expect(page.locator("#analyses b").nth(1)).to_have_text("1 dropped.mp4")
    expect(page.locator("#analysis-name")).to_have_text("1 dropped.mp4")
    expect(page.locator("#verdict")).to_contain_text("arson")
    expect(page.locator("#upload")).to_be_hidden()


def test_player_seeks_from_events_evidence_captions_and_timeline(tab: Tab, clip: Path) -> None:
    page = upload_and_wait(tab, clip)
    page.get_by_role("button", name="road accidents").click()
    expect_player_at(page, 3.2)
    assert page.locator("#timeline .cursor").get_attribute("x1") == str(1000 * 3.2 / 4.8)
    page.locator("#evidence button").first.click()
    expect_player_at(page, 1.6)
    page.get_by_text("All 3 captions").click()
    page.locator("#captions button").nth(2).click()
    expect_player_at(page, 4.0)
    timeline = page.locator("#timeline")
    timeline.hover()
    expect(page.locator("#timeline-readout")).to_have_text("0:02 · score 0.90")
    timeline.click()
    expect_player_at(page, 2.4)


def test_shortcuts_step_through_events_and_play(tab: Tab, clip: Path) -> None:
    page = upload_and_wait(tab, clip)
    for key, seconds in (("j", 1.6), ("j", 3.2), ("j", 1.6), ("k", 3.2), ("k", 1.6)):
        page.keyboard.press(key)
        expect_player_at(page, seconds)
    page.get_by_role("button", name="road accidents").press("Enter")
    expect_player_at(page, 3.2)
    page.keyboard.press("k")
    expect_player_at(page, 1.6)
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press(" ")
    page.wait_for_function("() => !document.querySelector('#player').paused")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('#player').paused")


def test_tab_key_reaches_every_control_with_visible_focus(tab: Tab, clip: Path) -> None:
    page = upload_and_wait(tab, clip)
    expect(page.locator("#analyses a[aria-current]")).to_have_count(1)
    assert browsing.num_tab_stops(page) >= browsing.num_controls(page) > 12


def test_triage_is_saved(tab: Tab, clip: Path) -> None:
    page = upload_and_wait(tab, clip)
    page.get_by_role("button", name="False alarm").click()
    expect(page.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    expect(page.locator("#analyses small").first).to_contain_text("false alarm")
    page.reload()
    expect(page.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    expect(page.get_by_role("button", name="Open", pressed=False)).to_be_visible()
    expect(page.locator("#analysis-name")).to_have_text("a clip.mp4")


def test_upload_of_a_broken_file_shows_an_error_and_can_be_deleted(
    tab: Tab, tmp_path: Path
) -> None:
    broken, empty = tmp_path / "broken.mp4", tmp_path / "empty.mp4"
    broken.write_text("no video")
    empty.touch()
    page = tab.open()
    page.locator("#file").set_input_files([empty, broken])
    expect(
        page.get_by_role("status").filter(has_text="empty.mp4: the file is empty: it has 0 bytes")
    ).to_be_visible()
    expect(page.locator("#verdict")).to_have_text(re.compile(r"Failed: broken\.mp4.*\w{4}"))
    expect(page.locator("#analyses .tag").first).to_have_text("failed")
    expect(page.locator("#result")).to_be_hidden()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#analyses").get_by_text("broken.mp4")).to_have_count(0)
    tab.expect_errors("status of 422")


def test_delete_asks_for_confirmation(tab: Tab, clip: Path, tmp_path: Path) -> None:
    page = upload_and_wait(tab, Path(shutil.copy(clip, tmp_path / "unwanted.mp4")))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#analysis")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#analysis")).to_be_hidden()
    expect(page.locator("#analyses").get_by_text("unwanted.mp4")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Deleted.")).to_have_count(1)
    assert page.evaluate("() => document.activeElement !== document.body")


def test_result_shows_markup_as_text(tab: Tab, clip: Path) -> None:
    page = tab.open()
    file = {"name": f"{MARKUP}.mp4", "mimeType": "video/mp4", "buffer": clip.read_bytes()}
    page.locator("#file").set_input_files(file)  # type: ignore[arg-type]
    expect(page.locator("#explanation-summary")).to_have_text(f"a bin burns {MARKUP}")
    expect(page.locator("#explanation-reason")).to_have_text(MARKUP)
    expect(page.locator("#evidence span").nth(1)).to_have_text(MARKUP)
    expect(page.locator("#analysis-name")).to_contain_text("<img")
    expect(page.locator("#analyses b").first).to_contain_text("<img")
    assert page.locator("img[onerror]").count() == 0
    assert page.title() == "exvad"


def test_phone_shows_one_column_without_horizontal_scrolling(
    browser: Browser, server: AnalysisServer, clip: Path
) -> None:
    with open_tab(browser, server.url, viewport=PHONE, has_touch=True, is_mobile=True) as tab:
        page = tab.open()
        assert browsing.horizontal_overflow(page) <= 0
        file = {"name": "x" * 90 + ".mp4", "mimeType": "", "buffer": clip.read_bytes()}
        page.locator("#file").set_input_files(file)  # type: ignore[arg-type]
        expect(page.locator("#verdict")).to_contain_text("arson")
        expect(page.locator("#analyses")).to_be_hidden()
        assert page.evaluate("() => document.activeElement.id") == "analysis-name"
        page.get_by_text("All 3 captions").click()
        assert browsing.horizontal_overflow(page) <= 0
        page.get_by_role("link", name="All videos").click()
        expect(page.locator("#analyses")).to_be_visible()
        expect(page.locator("#analysis")).to_be_hidden()
        assert browsing.horizontal_overflow(page) <= 0
        page.go_back()
        expect(page.locator("#verdict")).to_contain_text("arson")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast(
    browser: Browser, server: AnalysisServer, clip: Path, scheme: str
) -> None:
    with open_tab(browser, server.url, color_scheme=scheme) as tab:
        page = upload_and_wait(tab, clip)
        page.get_by_text("All 3 captions").click()
        background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(15, 19, 25)") == (scheme == "dark")
        assert browsing.low_contrast_texts(page) == {}
        tab.open("#live")
        expect(page.locator("#stream-form")).to_be_visible()
        assert browsing.low_contrast_texts(page) == {}


def test_screen_reader_gets_names_and_the_result(tab: Tab, clip: Path, tmp_path: Path) -> None:
    page = upload_and_wait(tab, Path(shutil.copy(clip, tmp_path / "announced.mp4")))
    announcement = page.get_by_role("status").filter(has_text="announced.mp4: Abnormal: arson")
    expect(announcement).to_have_count(1)
    assert browsing.roles_without_name(page) == []
    page.get_by_role("link", name="Live").click()
    page.get_by_text("Alert settings").click()
    assert browsing.roles_without_name(page) == []


def test_unplayable_video_is_shown_as_frames(tab: Tab, tmp_path: Path) -> None:
    path = write_video(tmp_path / "old.avi", 48, codec="mpeg4", fps=10, size=(320, 240))
    page = upload_and_wait(tab, path)
    expect(page.get_by_text("Your browser cannot play this video")).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()
    page.get_by_role("button", name="road accidents").click()
    expect(page.locator("#frame")).to_have_attribute("src", re.compile("frames/2$"))
    frame = page.locator("#frame").element_handle()
    page.wait_for_function("image => image.naturalWidth > 0", arg=frame)


def test_connection_error_is_shown_until_the_server_responds(tab: Tab) -> None:
    def abort(route: Route) -> None:
        route.abort()

    tab.page.route("**/v1/analyses?*", abort)
    page = tab.open()
    error = page.get_by_text("Cannot reach the server (retrying)")
    expect(error).to_be_visible()
    page.unroute("**/v1/analyses?*", abort)
    expect(error).to_have_count(0)
    tab.expect_errors("ERR_FAILED")


def test_address_of_an_unknown_analysis_shows_an_error(tab: Tab) -> None:
    page = tab.open(f"#videos/{'0' * 32}")
    expect(page.get_by_role("status").filter(has_text="there is no analysis")).to_be_visible()
    expect(page.locator("#analysis")).to_be_hidden()
    tab.expect_errors("status of 404")
