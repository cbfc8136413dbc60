"""The page's live part in a real browser, over the real API; the test itself plays the watcher."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from exvad.results import Explanation
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.queue.streams import Streams
from exvad.serving.schemas.streams import StreamOptions, StreamSource
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
from tests.helpers.server import Server

CLASSES = ("Normal", "Arson", "RoadAccidents")
WATCHER = "the test"
FIRE = Explanation(
    anomalous=True, category="Arson", summary="a bin burns.", reason="fire.", evidence=[2]
)


class Site:
    """A server, and what is needed to be its watcher."""

    def __init__(self, folder: Path) -> None:
        (folder / "root").mkdir()
        self.root = folder / "root"
        self.server = Server(
            folder, allowed_root=self.root, url_networks=["127.0.0.0/8"], max_streams=200
        )
        self.streams = Streams(self.server.settings.database_path)

    def watch(self, name: str) -> str:
        """Begin to watch a stream."""
        number = self.streams.add(name, StreamSource(url="rtsp://127.0.0.1/x"), StreamOptions())
        claimed = self.streams.claim(WATCHER)
        assert claimed is not None
        assert claimed.number == number
        self.streams.begin(number, WATCHER, 0.5, CLASSES)
        self.streams.tell_notice(
            number, WATCHER, LiveNotice(kind="connected", text="the source is open")
        )
        return number

    def scores(self, number: str, times: Sequence[float], score: float) -> None:
        """Tell scores."""
        told = LiveScores(times=list(times), scores=[score] * len(times))
        self.streams.tell_scores(number, WATCHER, told, 0.4)

    def alert(
        self,
        number: str,
        alert: int = 1,
        *,
        picture: bool = True,
        label: str = "Arson",
        start: float = 10,
        end: float = 20,
    ) -> LiveAlert:
        """Tell that an alert began."""
        begun = LiveAlert(number=alert, state="began", start=start, end=end, label=label, peak=0.93)
        self.streams.tell_alert(number, WATCHER, begun)
        if picture:
            self.picture(number, alert)
        return begun

    def picture(self, number: str, alert: int) -> None:
        """Keep an alert's picture."""
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48), "orange").save(buffer, "JPEG")
        assert self.streams.keep_frame(number, WATCHER, alert, buffer.getvalue())

    def explain(self, number: str, begun: LiveAlert, why: Explanation = FIRE) -> None:
        """Tell an alert's explanation."""
        update = {"state": "explained", "explanation": why, "captions": ["a bin", "a fire"]}
        self.streams.tell_alert(number, WATCHER, begun.model_copy(update=update))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.server.end()


@pytest.fixture(autouse=True)
def nothing_watched(site: Site) -> Iterator[None]:
    yield
    for each in site.streams.listing(200, 0)[0]:
        site.streams.remove(each.id)


@pytest.fixture
def tab(browser: Browser, site: Site) -> Iterator[Tab]:
    with opened(browser, site.server.url) as tab:
        yield tab


def looking_at(tab: Tab, number: str) -> Page:
    """Open a stream."""
    page = tab.open(f"#live/{number}")
    expect(page.locator("#stream")).to_be_visible()
    return page


def test_a_stream_is_watched_as_the_form_says(tab: Tab, site: Site) -> None:
    page = tab.open()
    page.get_by_role("link", name="Live").click()
    expect(page.get_by_text("Nothing is watched.")).to_be_visible()
    page.get_by_label("Camera or stream").fill("rtsp://127.0.0.1:9/door?token=hidden")
    page.get_by_label("Name, if you like").fill("front door")
    page.get_by_text("When to alert").click()
    page.get_by_label("Alert above a score of").fill("0.6")
    page.get_by_label("for at least, seconds").fill("2")
    page.get_by_label("then stay silent for, seconds").fill("30")
    page.get_by_label("Look for besides, one a line").fill("queue: a line; people wait\n")
    page.get_by_label("Explain alerts").uncheck()
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_role("heading", name="front door")).to_be_visible()
    expect(page.locator("#stream-state")).to_have_text("waiting")
    claimed = site.streams.claim(WATCHER)
    assert claimed is not None
    assert claimed.source.url == "rtsp://127.0.0.1:9/door?token=hidden"
    assert claimed.options == StreamOptions(
        on=0.6,
        least_seconds=2,
        cool_down_seconds=30,
        explain=False,
        categories={"queue": ["a line", "people wait"]},
    )
    site.streams.begin(claimed.number, WATCHER, 0.6, CLASSES)
    site.streams.tell_notice(
        claimed.number, WATCHER, LiveNotice(kind="connected", text="it is open")
    )
    expect(page.locator("#stream-state")).to_have_text("watching")
    expect(page.locator("#stream-notice")).to_have_text("it is open")
    expect(page.locator("#legend")).to_contain_text("an alert begins above 0.60")
    expect(page.get_by_label("Camera or stream")).to_have_value("")


def test_a_growing_file_is_named_by_its_path(tab: Tab, site: Site) -> None:
    (site.root / "door.ts").touch()
    page = tab.open("#live")
    page.get_by_label("Camera or stream").fill("door.ts")
    page.keyboard.press("Enter")
    expect(page.locator("#stream-name")).to_have_text("door.ts")
    claimed = site.streams.claim(WATCHER)
    assert claimed is not None
    assert claimed.source.path == str(site.root / "door.ts")
    assert claimed.options == StreamOptions()


def test_what_cannot_be_watched_is_told_in_a_sentence(tab: Tab, site: Site) -> None:
    page = tab.open("#live")
    source = page.get_by_label("Camera or stream")
    source.fill("file:///etc/passwd")
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_role("status").filter(has_text="only rtsp://")).to_be_visible()
    expect(source).to_have_value("file:///etc/passwd")
    page.get_by_text("When to alert").click()
    page.get_by_label("Look for besides, one a line").fill("shoplifting")
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_text("“shoplifting”: write class: what is seen")).to_be_visible()
    assert site.streams.watched() == 0
    tab.only_wrong("status of 422")


def test_scores_come_as_they_are_told(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    page = looking_at(tab, number)
    expect(page.locator("#stream-score")).to_have_text("–")
    site.scores(number, [0.0, 0.64, 1.28], 0.2)
    expect(page.locator("#stream-score")).to_have_text("0.20")
    expect(page.locator("#stream-score")).not_to_have_class("alarm")
    expect(page.locator("#rolling path.score")).to_have_count(1)
    expect(page.locator("#rolling .limit")).to_have_count(1)
    site.scores(number, [1.92], 0.87)
    expect(page.locator("#stream-score")).to_have_text("0.87", timeout=2000)
    expect(page.locator("#stream-score")).to_have_class("alarm")
    expect(page.locator("#stream-delay")).to_have_text("0.4 s")
    expect(page.locator("#streams small").first).to_contain_text("score 0.87")
    expect(page.locator("#streams .hot")).to_have_count(1)
    site.scores(number, [60.0, 60.64], 0.1)
    expect(page.locator("#rolling path.score")).to_have_count(2)
    line = page.locator("#rolling")
    box = line.bounding_box()
    assert box is not None
    line.hover(position={"x": box["width"] - 1, "y": 20})
    expect(page.locator("#live-reading")).to_have_text(re.compile(r"^0:0\d ago · score 0\.10$"))


def test_the_timeline_shows_the_last_five_minutes(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    site.scores(number, range(500), 0.2)
    site.alert(number, 1, start=100, end=150, label="Arson")
    site.alert(number, 2, start=400, end=430, label="RoadAccidents")
    page = looking_at(tab, number)
    line = page.get_by_role("img", name="road accidents from 6:40 to 7:10")
    expect(line).to_have_accessible_name(
        "Anomaly score of the last five minutes. road accidents from 6:40 to 7:10"
    )
    expect(line.locator(".span")).to_have_count(1)
    assert float(str(line.locator(".span").get_attribute("x"))) == pytest.approx(1000 * 200 / 300)
    corners = str(line.locator("path.score").get_attribute("d"))
    assert corners.startswith("M0.0,")
    assert corners.count("L") == pytest.approx(2 * 300, abs=4)
    assert page.locator("#alerts h4").all_inner_texts() == ["road accidents", "arson"]


def test_a_new_alert_is_announced_shown_and_explained_in_place(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    site.scores(number, range(21), 0.9)
    page = looking_at(tab, number)
    expect(page.get_by_text("None so far.")).to_be_visible()
    begun = site.alert(number)
    said = page.get_by_role("alert").filter(has_text="Alert 1 of door: arson, score 0.93.")
    expect(said).to_have_count(1)
    assert page.title() == "(1) new alert · exvad"
    expect(page.get_by_role("link", name="Live 1 new")).to_be_visible()
    card = page.locator("#alerts > li")
    expect(card.get_by_role("heading", name="arson")).to_be_visible()
    expect(card.locator(".when")).to_have_text(
        re.compile(r"\d\d:\d\d.* · 0:10 long · peak 0\.93 · going on")
    )
    picture = card.get_by_role("img", name="Picture of the arson at its highest score")
    page.wait_for_function("image => image.naturalWidth === 64", arg=picture.element_handle())
    dot = card.locator(".dot").evaluate("element => getComputedStyle(element).backgroundColor")
    span = page.locator("#rolling .span").evaluate("element => getComputedStyle(element).fill")
    assert dot == span

    card.get_by_role("button", name="Reviewed").focus()
    site.explain(number, begun)
    expect(card.get_by_text("a bin burns.")).to_be_visible()
    expect(card.get_by_role("button", name="Reviewed")).to_be_focused()
    card.get_by_text("The 2 captions it rests on").click()
    expect(card.locator("details .evidence")).to_have_text("a fire")
    expect(page).to_have_title("exvad")
    expect(page.locator("#unseen")).to_be_hidden()
    site.streams.tell_alert(number, WATCHER, begun.model_copy(update={"state": "ended", "end": 35}))
    expect(card.locator(".when")).to_contain_text("0:25 long · peak 0.93 · over")
    expect(card.locator("details .evidence")).to_be_visible()


def test_alerts_of_streams_that_are_not_open_are_told_too(tab: Tab, site: Site) -> None:
    door, yard = site.watch("door"), site.watch("yard")
    site.alert(door)
    page = tab.open()
    expect(page.locator("#streams li")).to_have_count(2)
    assert page.title() == "exvad", "what was there before is no news"
    site.alert(yard, 1, label="RoadAccidents")
    site.alert(door, 2)
    for text in ("Alert 1 of yard: road accidents", "Alert 2 of door: arson"):
        page.get_by_role("alert").filter(has_text=text).wait_for(state="attached")
    expect(page).to_have_title("(2) new alerts · exvad")
    page.get_by_role("link", name="Live 2 new").click()
    page.get_by_role("link", name="yard").click()
    expect(page.get_by_role("heading", name="road accidents")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page).to_have_title("(1) new alert · exvad")


def test_a_picture_that_comes_late_is_shown(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    page = looking_at(tab, number)
    site.alert(number, picture=False)
    expect(page.locator("#alerts img.missing")).to_have_count(1)
    site.picture(number, 1)
    expect(page.locator("#alerts img.missing")).to_have_count(0)
    shown = page.locator("#alerts img").element_handle()
    page.wait_for_function("image => image.naturalWidth === 64", arg=shown)
    tab.only_wrong("status of 404")


def test_an_explanation_that_disagrees_with_the_score_says_so(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    calm = FIRE.model_copy(update={"anomalous": False, "category": "Normal"})
    other = FIRE.model_copy(update={"category": "RoadAccidents"})
    for alert, why in enumerate((FIRE, other, calm), 1):
        site.explain(number, site.alert(number, alert), why)
    page = looking_at(tab, number)
    expect(page.locator(".alert .doubt")).to_have_text(
        [
            "The explanation sees nothing abnormal here.",
            "The explanation calls it road accidents.",
            "",
        ]
    )


def test_a_refused_connection_is_tried_again(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    site.scores(number, range(5), 0.2)
    tab.page.route("**/events", lambda route: route.fulfill(status=503), times=1)
    page = looking_at(tab, number)
    expect(page.locator("#stream-score")).to_have_text("0.20")
    expect(page.locator("#rolling path.score")).to_have_count(0)
    expect(page.locator("#rolling path.score")).to_have_count(1)
    tab.only_wrong("status of 503")


def test_a_judgement_of_an_alert_is_kept(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    site.alert(number)
    page = looking_at(tab, number)
    expect(page.locator("#streams small")).to_contain_text("1 to judge")
    group = page.get_by_role("group", name="Your judgement of alert 1, arson")
    group.get_by_role("button", name="False alarm").press("Enter")
    expect(group.get_by_role("button", name="False alarm", pressed=True)).to_be_focused()
    expect(page.locator("#streams small")).not_to_contain_text("to judge")
    page.reload()
    expect(group.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    found = site.streams.alert(number, 1)
    assert found is not None
    assert found.triage == "false alarm"


def test_a_stream_is_stopped_only_after_a_question(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    page = looking_at(tab, number)
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Stop and forget").click()
    expect(page.locator("#stream")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop and forget").click()
    expect(page.get_by_text("Nothing is watched.")).to_be_visible()
    expect(page.locator("#stream")).to_be_hidden()
    assert site.streams.status(number) is None
    expect(page.get_by_label("Camera or stream")).to_be_focused()


def test_a_stream_that_somebody_else_stopped_is_told(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    page = looking_at(tab, number)
    site.streams.remove(number)
    expect(page.get_by_text("This stream is not watched any more.")).to_be_visible()
    expect(page.locator("#stream")).to_be_hidden()
    tab.only_wrong("status of 404")


def test_a_lost_source_and_the_end_are_told_and_nobody_asks_again(tab: Tab, site: Site) -> None:
    number = site.watch("door")
    page = looking_at(tab, number)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    site.streams.tell_notice(number, WATCHER, LiveNotice(kind="lost", text="it broke off", count=7))
    expect(page.locator("#stream-state")).to_have_text("source lost")
    expect(page.locator("#stream-notice")).to_have_text("it broke off")
    expect(page.locator("#stream-dropped")).to_have_text("7 pictures")
    site.streams.end(number, WATCHER)
    expect(page.locator("#stream-state")).to_have_text("ended")
    expect(page.get_by_role("button", name="Forget")).to_be_visible()
    with page.expect_request("**/v1/streams?*"):
        pass
    assert not [url for url in asked if url.endswith("/events")]


def test_markup_is_shown_as_text(tab: Tab, site: Site) -> None:
    number = site.watch(MARKUP)
    site.streams.tell_notice(number, WATCHER, LiveNotice(kind="connected", text=MARKUP))
    begun = site.alert(number)
    why = FIRE.model_copy(update={"summary": MARKUP, "reason": MARKUP})
    site.explain(number, begun, why)
    page = looking_at(tab, number)
    expect(page.locator("#stream-name")).to_have_text(MARKUP)
    expect(page.locator("#stream-notice")).to_have_text(MARKUP)
    expect(page.locator("#streams b")).to_have_text(MARKUP)
    expect(page.locator(".alert .summary")).to_have_text(MARKUP)
    assert page.locator("img[onerror]").count() == 0
    assert page.title() == "exvad"


def busy(site: Site) -> str:
    """Watch a stream of which there is much to show."""
    number = site.watch("x" * 90)
    site.streams.tell_notice(number, WATCHER, LiveNotice(kind="lost", text="word" * 60))
    site.scores(number, range(21), 0.9)
    begun = site.alert(number)
    site.explain(number, begun, FIRE.model_copy(update={"summary": "word" * 60}))
    return number


def test_nothing_scrolls_sideways_on_a_phone(browser: Browser, site: Site) -> None:
    number = busy(site)
    with opened(browser, site.server.url, viewport=PHONE, has_touch=True, is_mobile=True) as tab:
        page = tab.open("#live")
        page.get_by_text("When to alert").click()
        assert page.evaluate(WIDER) <= 0
        page.locator("#streams a").tap()
        expect(page.locator("#alerts .summary")).to_contain_text("wordword")
        page.get_by_text("The 2 captions it rests on").tap()
        assert page.url.endswith(number)
        assert page.evaluate(WIDER) <= 0
        expect(page.locator("#watch")).to_be_hidden()
        page.get_by_role("link", name="All streams").tap()
        expect(page.locator("#watch")).to_be_visible()
        expect(page.locator("#stream")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(browser: Browser, site: Site, scheme: str) -> None:
    number = busy(site)
    site.watch("waiting")
    with opened(browser, site.server.url, color_scheme=scheme) as tab:
        page = looking_at(tab, number)
        site.alert(number, 2)
        expect(page.locator("#unseen")).to_be_visible()
        page.get_by_text("When to alert").evaluate("element => element.parentElement.open = true")
        page.locator(".alert details").last.evaluate("element => element.open = true")
        assert too_faint(page) == {}


def test_keyboard_and_screen_reader_reach_everything(tab: Tab, site: Site) -> None:
    page = looking_at(tab, busy(site))
    page.get_by_text("When to alert").click()
    expect(page.locator("#alerts img")).to_be_visible()
    assert reached_by_tab(page) >= page.evaluate(CONTROLS) > 14
    assert unnamed_controls(page) == []
