"""The page in a real browser, used as a person would: by hand, by keyboard, by ear, on a phone."""

from __future__ import annotations

import base64
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from exvad.detector.detector import Examination, Listener
from exvad.results import Analysis, Caption, DetectedEvent, Explanation
from exvad.serving.queue.analyses import Queue
from exvad.serving.workers.analysis_worker import Worker
from tests.helpers.browsing import (
    CONTROLS,
    MARKUP,
    PHONE,
    WIDER,
    Tab,
    chromium,
    opened,
    reached_by_tab,
    too_faint,
    unnamed_controls,
)
from tests.helpers.served import MadeDetector
from tests.helpers.server import Server
from tests.helpers.videos import write_video


class Story(MadeDetector):
    """Tells of a fire and of an accident, and waits to be let go on where that was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.go_on.set()

    def examine(
        self,
        path: str | Path,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
        explain: bool = True,
        listener: Listener | None = None,
    ) -> Examination:
        found = super().examine(path, categories, threshold, explain, listener)
        if listener is not None and listener.progress is not None:
            listener.progress(0.5)
        self.go_on.wait(20)
        return found._replace(analysis=told(found.analysis))


def told(found: Analysis) -> Analysis:
    """Make more of an answer, with words that a page might take for its own."""
    second = DetectedEvent(
        start=3.2, end=4.4, label="RoadAccidents", score=0.8, confidence=0.7, captions=[2]
    )
    captions = [
        Caption(time=1.6, raw="a bin burns", text="a bin burns"),
        Caption(time=3.2, raw=MARKUP, text=MARKUP),
        Caption(time=4.0, raw="a car", text="word" * 60),
    ]
    words = Explanation(
        anomalous=True, category="Arson", summary=f"a bin burns {MARKUP}", reason=MARKUP,
        evidence=[1, 2],
    )  # fmt: skip
    update = {"events": [*found.events, second], "captions": captions, "explanation": words}
    return found.model_copy(update=update)


class Shop(Server):
    """A server whose worker tells the story."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, max_waiting=64)
        self.story = Story()
        queue = Queue(self.settings.spool / "queue.sqlite")
        worker = Worker(self.story, queue, self.settings)  # type: ignore[arg-type]
        thread = threading.Thread(target=worker.run, args=(self.stopped,), daemon=True)
        thread.start()
        self.threads.append(thread)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    yield shop
    shop.end()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "a clip.mp4"
    return write_video(path, 48, fps=10, size=(320, 240))


@pytest.fixture
def tab(browser: Browser, shop: Shop) -> Iterator[Tab]:
    with opened(browser, shop.url) as tab:
        yield tab


def answered(tab: Tab, clip: Path) -> Page:
    """Choose a video, and wait for its answer."""
    page = tab.open()
    page.locator("#file").set_input_files(clip)
    expect(page.locator("#verdict")).to_have_text("Abnormal: arson, road accidents")
    return page


def at(page: Page, seconds: float) -> None:
    """Expect the player to be at a time."""
    page.wait_for_function(
        "wanted => Math.abs(document.querySelector('#player').currentTime - wanted) < 0.06",
        arg=seconds,
    )


def test_a_chosen_video_is_followed_to_its_verdict(tab: Tab, shop: Shop, clip: Path) -> None:
    shop.story.go_on.clear()
    page = tab.open()
    page.get_by_label("Drop videos here or choose files").set_input_files(clip)
    expect(page.locator("#stage")).to_have_text("Looking: 50 % seen")
    expect(page.locator("#bar")).to_have_js_property("value", 0.5)
    expect(page.locator("#draft")).to_have_text("a bin …")
    expect(page.locator("#list .tag").first).to_have_text("50 %")
    shop.story.go_on.set()
    expect(page.locator("#verdict")).to_have_text("Abnormal: arson, road accidents")
    expect(page.locator("#working")).to_be_hidden()
    expect(page.get_by_role("heading", name="a clip.mp4")).to_be_visible()
    expect(page.locator("#list .tag").first).to_have_text("arson")

    line = page.get_by_role("img", name="arson from 0:02 to 0:03; road accidents from 0:03 to 0:04")
    expect(line).to_be_visible()
    expect(line.locator("path.score")).to_have_count(1)
    colour = "element => getComputedStyle(element).fill"
    spans = [span.evaluate(colour) for span in line.locator("rect:not(.span)").all()]
    dots = page.locator("#events .dot").all()
    shown = [dot.evaluate("element => getComputedStyle(element).backgroundColor") for dot in dots]
    assert spans == shown
    assert len(set(shown)) == 2

    expect(page.locator("#summary")).to_contain_text("a bin burns")
    pictures = page.locator("#evidence img").all()
    assert len(pictures) == 2
    for picture in pictures:
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())


def test_dropped_videos_are_all_sent_and_the_first_is_opened(
    tab: Tab, shop: Shop, clip: Path
) -> None:
    page = tab.open("#live")
    data = page.evaluate_handle(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
          const data = new DataTransfer();
          for (const number of [1, 2]) data.items.add(new File([bytes], `${number} ${name}`));
          return data;
        }""",
        ["dropped.mp4", base64.b64encode(clip.read_bytes()).decode()],
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(page.locator("#drop")).to_have_class("over")
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.locator("#drop")).not_to_have_class("over")
    expect(page.locator("#list b").first).to_have_text("2 dropped.mp4")
    expect(page.locator("#list b").nth(1)).to_have_text("1 dropped.mp4")
    expect(page.locator("#name")).to_have_text("1 dropped.mp4")
    expect(page.locator("#verdict")).to_contain_text("arson")
    expect(page.locator("#sending")).to_be_hidden()


def test_events_evidence_and_timeline_move_the_player(tab: Tab, clip: Path) -> None:
    page = answered(tab, clip)
    page.get_by_role("button", name="road accidents").click()
    at(page, 3.2)
    assert page.locator("#timeline .now").get_attribute("x1") == str(1000 * 3.2 / 4.8)
    page.locator("#evidence button").first.click()
    at(page, 1.6)
    page.get_by_text("All 3 captions").click()
    page.locator("#captions button").nth(2).click()
    at(page, 4.0)
    line = page.locator("#timeline")
    line.hover()
    expect(page.locator("#reading")).to_have_text("0:02 · score 0.90")
    line.click()
    at(page, 2.4)


def test_keys_go_from_event_to_event_and_play(tab: Tab, clip: Path) -> None:
    page = answered(tab, clip)
    for key, seconds in (("j", 1.6), ("j", 3.2), ("j", 1.6), ("k", 3.2), ("k", 1.6)):
        page.keyboard.press(key)
        at(page, seconds)
    page.get_by_role("button", name="road accidents").press("Enter")
    at(page, 3.2)
    page.keyboard.press("k")
    at(page, 1.6)
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press(" ")
    page.wait_for_function("() => !document.querySelector('#player').paused")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('#player').paused")


def test_everything_is_reached_by_tab_and_seen_to_have_focus(tab: Tab, clip: Path) -> None:
    page = answered(tab, clip)
    expect(page.locator("#list a[aria-current]")).to_have_count(1)
    assert reached_by_tab(page) >= page.evaluate(CONTROLS) > 12


def test_a_judgement_is_kept(tab: Tab, clip: Path) -> None:
    page = answered(tab, clip)
    page.get_by_role("button", name="False alarm").click()
    expect(page.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    expect(page.locator("#list small").first).to_contain_text("false alarm")
    page.reload()
    expect(page.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    expect(page.get_by_role("button", name="Open", pressed=False)).to_be_visible()
    expect(page.locator("#name")).to_have_text("a clip.mp4")


def test_a_broken_file_is_told_in_a_sentence_and_can_be_deleted(tab: Tab, tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.mp4", tmp_path / "empty.mp4"
    broken.write_text("no video")
    empty.touch()
    page = tab.open()
    page.locator("#file").set_input_files([empty, broken])
    expect(
        page.get_by_role("status").filter(has_text="empty.mp4: the request holds no video")
    ).to_be_visible()
    expect(page.locator("#verdict")).to_have_text(re.compile(r"No answer: broken\.mp4.*\w{4}"))
    expect(page.locator("#list .tag").first).to_have_text("failed")
    expect(page.locator("#answer")).to_be_hidden()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#list").get_by_text("broken.mp4")).to_have_count(0)
    tab.only_wrong("status of 422")


def test_a_video_is_deleted_only_after_a_question(tab: Tab, clip: Path, tmp_path: Path) -> None:
    page = answered(tab, Path(shutil.copy(clip, tmp_path / "unwanted.mp4")))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#view")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator("#list").get_by_text("unwanted.mp4")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Deleted.")).to_have_count(1)
    assert page.evaluate("() => document.activeElement !== document.body")


def test_markup_in_names_and_words_is_shown_as_text(tab: Tab, clip: Path) -> None:
    page = tab.open()
    named = {"name": f"{MARKUP}.mp4", "mimeType": "video/mp4", "buffer": clip.read_bytes()}
    page.locator("#file").set_input_files(named)  # type: ignore[arg-type]
    expect(page.locator("#summary")).to_have_text(f"a bin burns {MARKUP}")
    expect(page.locator("#reason")).to_have_text(MARKUP)
    expect(page.locator("#evidence span").nth(1)).to_have_text(MARKUP)
    expect(page.locator("#name")).to_contain_text("<img")
    expect(page.locator("#list b").first).to_contain_text("<img")
    assert page.locator("img[onerror]").count() == 0
    assert page.title() == "exvad"


def test_nothing_scrolls_sideways_on_a_phone(browser: Browser, shop: Shop, clip: Path) -> None:
    with opened(browser, shop.url, viewport=PHONE, has_touch=True, is_mobile=True) as tab:
        page = tab.open()
        assert page.evaluate(WIDER) <= 0
        named = {"name": "x" * 90 + ".mp4", "mimeType": "", "buffer": clip.read_bytes()}
        page.locator("#file").set_input_files(named)  # type: ignore[arg-type]
        expect(page.locator("#verdict")).to_contain_text("arson")
        expect(page.locator("#list")).to_be_hidden()
        assert page.evaluate("() => document.activeElement.id") == "name"
        page.get_by_text("All 3 captions").click()
        assert page.evaluate(WIDER) <= 0
        page.get_by_role("link", name="All videos").click()
        expect(page.locator("#list")).to_be_visible()
        expect(page.locator("#view")).to_be_hidden()
        assert page.evaluate(WIDER) <= 0
        page.go_back()
        expect(page.locator("#verdict")).to_contain_text("arson")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(browser: Browser, shop: Shop, clip: Path, scheme: str) -> None:
    with opened(browser, shop.url, color_scheme=scheme) as tab:
        page = answered(tab, clip)
        page.get_by_text("All 3 captions").click()
        dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(15, 19, 25)") == (scheme == "dark")
        assert too_faint(page) == {}
        tab.open("#live")
        expect(page.locator("#watch")).to_be_visible()
        assert too_faint(page) == {}


def test_a_screen_reader_has_a_name_for_everything_and_hears_the_end(
    tab: Tab, clip: Path, tmp_path: Path
) -> None:
    page = answered(tab, Path(shutil.copy(clip, tmp_path / "heard.mp4")))
    said = page.get_by_role("status").filter(has_text="heard.mp4: Abnormal: arson")
    expect(said).to_have_count(1)
    assert unnamed_controls(page) == []
    page.get_by_role("link", name="Live").click()
    page.get_by_text("When to alert").click()
    assert unnamed_controls(page) == []


def test_a_video_that_the_browser_cannot_play_is_shown_in_pictures(
    tab: Tab, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "old.avi", 48, codec="mpeg4", fps=10, size=(320, 240))
    page = answered(tab, path)
    expect(page.get_by_text("This browser can't play the video")).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()
    page.get_by_role("button", name="road accidents").click()
    expect(page.locator("#still")).to_have_attribute("src", re.compile("frames/2$"))
    still = page.locator("#still").element_handle()
    page.wait_for_function("image => image.naturalWidth > 0", arg=still)


def test_a_server_that_does_not_answer_is_named_until_it_does(tab: Tab) -> None:
    def refuse(route: Route) -> None:
        route.abort()

    tab.page.route("**/v1/analyses?*", refuse)
    page = tab.open()
    said = page.get_by_text("The server can't be reached; trying again.")
    expect(said).to_be_visible()
    page.unroute("**/v1/analyses?*", refuse)
    expect(said).to_have_count(0)
    tab.only_wrong("ERR_FAILED")


def test_a_link_to_what_is_not_there_says_so(tab: Tab) -> None:
    page = tab.open(f"#videos/{'0' * 32}")
    expect(page.get_by_role("status").filter(has_text="there is no analysis")).to_be_visible()
    expect(page.locator("#view")).to_be_hidden()
    tab.only_wrong("status of 404")
