"""The page's view of live streams, in a real browser over the real API."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from playwright.sync_api import Browser, expect

from exvad.serving.schemas.streams import StreamOptions
from tests.helpers import browsing
from tests.helpers.browsing import MARKUP, PHONE, Tab, open_tab
from tests.helpers.page_servers import (
    CLASSES,
    EARLY_FRAME,
    FIRE,
    HOLDER,
    StreamServer,
    open_stream,
)

FORMAT_TIME = """(seconds) => new Date(seconds * 1000).toLocaleTimeString(
  [], { hour: "2-digit", minute: "2-digit", second: "2-digit" })"""


def watch_busy_stream(server: StreamServer) -> str:
    """Watch a stream with long texts, a high score and an explained alert; return its id."""
    stream_id = server.watch("x" * 90)
    server.publish_notice(stream_id, "lost", "word" * 60)
    server.publish_scores(stream_id, range(21), 0.9)
    alert = server.publish_alert(stream_id)
    explanation = FIRE.model_copy(update={"summary": "word" * 60})
    server.publish_explanation(stream_id, alert, explanation)
    return stream_id


def test_form_sends_the_source_and_the_options(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    page = stream_tab.open()
    page.get_by_role("link", name="Live").click()
    expect(page.get_by_text("No streams yet.")).to_be_visible()
    page.get_by_label("Camera or stream").fill("rtsp://127.0.0.1:9/door?token=hidden")
    page.get_by_label("Name (optional)").fill("front door")
    page.get_by_text("Alert settings").click()
    page.get_by_label("Alert threshold (0 to 1)").fill("0.6")
    page.get_by_label("Minimum duration (seconds)").fill("2")
    page.get_by_label("Pause after an alert (seconds)").fill("30")
    page.get_by_label("Additional classes, one per line").fill("queue: a line; people wait\n")
    page.get_by_label("Normal here, one scene per line").fill("people jog here\n\ndogs run\n")
    page.get_by_label("Explain alerts").uncheck()
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_role("heading", name="front door")).to_be_visible()
    expect(page.locator("#stream-state")).to_have_text("waiting")
    claim = stream_server.streams.claim(HOLDER)
    assert claim is not None
    assert claim.source.url == "rtsp://127.0.0.1:9/door?token=hidden"
    assert claim.options == StreamOptions(
        on=0.6,
        least_seconds=2,
        cool_down_seconds=30,
        explain=False,
        categories={"queue": ["a line", "people wait"]},
        normal=["people jog here", "dogs run"],
    )
    stream_server.streams.record_detector(claim.stream_id, HOLDER, 0.6, CLASSES)
    stream_server.publish_notice(claim.stream_id, "connected", "it is open")
    expect(page.locator("#stream-state")).to_have_text("watching")
    expect(page.locator("#stream-notice")).to_have_text("it is open")
    expect(page.locator("#legend")).to_contain_text("alert threshold 0.60")
    expect(page.get_by_label("Camera or stream")).to_have_value("")


def test_form_sends_a_growing_file_as_a_path(stream_tab: Tab, stream_server: StreamServer) -> None:
    (stream_server.root / "door.ts").touch()
    page = stream_tab.open("#live")
    page.get_by_label("Camera or stream").fill("door.ts")
    page.keyboard.press("Enter")
    expect(page.locator("#stream-name")).to_have_text("door.ts")
    claim = stream_server.streams.claim(HOLDER)
    assert claim is not None
    assert claim.source.path == str(stream_server.root / "door.ts")
    assert claim.options == StreamOptions()


def test_form_shows_errors_and_keeps_its_values(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    page = stream_tab.open("#live")
    source = page.get_by_label("Camera or stream")
    source.fill("file:///etc/passwd")
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_role("status").filter(has_text="only rtsp://")).to_be_visible()
    expect(source).to_have_value("file:///etc/passwd")
    page.get_by_text("Alert settings").click()
    page.get_by_label("Additional classes, one per line").fill("shoplifting")
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_text("“shoplifting”: write each class as name: description")).to_be_visible()
    assert stream_server.streams.num_watched() == 0
    stream_tab.expect_errors("status of 422")


def test_scores_appear_as_they_are_published(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    page = open_stream(stream_tab, stream_id)
    score = page.locator("#stream-score")
    curves = page.locator("#live-chart path.score")
    expect(score).to_have_text("–")
    stream_server.publish_scores(stream_id, [0.0, 0.64, 1.28], 0.2)
    expect(score).to_have_text("0.20")
    expect(score).not_to_have_class("alarm")
    expect(curves).to_have_count(1)
    expect(page.locator("#live-chart .threshold")).to_have_count(1)
    stream_server.publish_scores(stream_id, [1.92], 0.87)
    expect(score).to_have_text("0.87", timeout=2000)
    expect(score).to_have_class("alarm")
    expect(page.locator("#stream-delay")).to_have_text("0.4 s")
    expect(page.locator("#streams small").first).to_contain_text("score 0.87")
    expect(page.locator("#streams .alerting")).to_have_count(1)
    stream_server.publish_scores(stream_id, [60.0, 60.64], 0.1)
    expect(curves).to_have_count(2)
    chart = page.locator("#live-chart")
    box = chart.bounding_box()
    assert box is not None
    chart.hover(position={"x": box["width"] - 1, "y": 20})
    expect(page.locator("#live-chart-readout")).to_have_text(
        re.compile(r"^\d\d:\d\d:\d\d.* · score 0\.10$")
    )


def test_chart_shows_the_last_five_minutes(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    stream_server.publish_scores(stream_id, range(500), 0.2)
    stream_server.publish_alert(stream_id, 1, start=100, end=150, label="Arson")
    stream_server.publish_alert(stream_id, 2, start=400, end=430, label="RoadAccidents")
    page = open_stream(stream_tab, stream_id)
    chart = page.get_by_role("img", name="road accidents from 6:40 to 7:10")
    expect(chart).to_have_accessible_name(
        "Anomaly score of the newest five minutes. road accidents from 6:40 to 7:10"
    )
    expect(chart.locator(".span")).to_have_count(1)
    assert float(str(chart.locator(".span").get_attribute("x"))) == pytest.approx(1000 * 200 / 300)
    corners = str(chart.locator("path.score").get_attribute("d"))
    assert corners.startswith("M0.0,")
    assert corners.count("L") == pytest.approx(2 * 300, abs=4)
    assert page.locator("#alerts h4").all_inner_texts() == ["road accidents", "arson"]


def test_chart_of_a_lost_source_keeps_the_time_of_day_of_its_scores(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    stream_id = stream_server.watch("door")
    noon = datetime.now().replace(hour=12, minute=0, second=0).timestamp()
    stream_server.publish_scores(stream_id, range(121), 0.2, scored_at=noon)
    stream_server.publish_notice(stream_id, "lost", "the camera is off")
    page = open_stream(stream_tab, stream_id)
    newest = page.evaluate(FORMAT_TIME, noon)
    expect(page.locator("#live-chart-end")).to_have_text(f"newest {newest}")
    expect(page.locator("#live-chart-start")).to_have_text(page.evaluate(FORMAT_TIME, noon - 120))
    stream_tab.open("#live")
    expect(page.locator(".camera-score")).to_have_text(f"Last score 0.20, {newest}")


def test_domain_of_a_stream_stays_in_sight(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    text = "Outside the domain of this checkpoint: it is a demonstration."
    stream_server.publish_notice(stream_id, "domain", text, outside=True)
    stream_server.publish_notice(stream_id, "dropped", "3 frames", count=3)
    page = stream_tab.open("#live")
    expect(page.locator(".camera-domain")).to_have_text(
        "Its picture is outside the checkpoint’s domain"
    )
    expect(page.locator(".camera-domain")).to_have_attribute("title", text)
    expect(page.locator("#streams small")).to_contain_text("outside the checkpoint’s domain")
    page = open_stream(stream_tab, stream_id)
    expect(page.locator("#stream-domain")).to_have_text(text)
    expect(page.locator("#stream-notice")).to_have_text("3 frames")
    stream_server.publish_notice(stream_id, "domain", "It is like training.")
    expect(page.locator("#stream-domain")).to_be_empty()


def test_refused_connection_is_retried(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    stream_server.publish_scores(stream_id, range(5), 0.2)
    stream_tab.page.route("**/events", lambda route: route.fulfill(status=503), times=1)
    page = open_stream(stream_tab, stream_id)
    expect(page.locator("#stream-score")).to_have_text("0.20")
    expect(page.locator("#live-chart path.score")).to_have_count(0)
    expect(page.locator("#live-chart path.score")).to_have_count(1)
    stream_tab.expect_errors("status of 503")


def test_stop_asks_for_confirmation(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    page = open_stream(stream_tab, stream_id)
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Stop watching").click()
    expect(page.locator("#stream")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop watching").click()
    expect(page.get_by_text("No streams yet.")).to_be_visible()
    expect(page.locator("#stream")).to_be_hidden()
    assert stream_server.streams.status(stream_id) is None
    expect(page.get_by_label("Camera or stream")).to_be_focused()


def test_stream_that_another_client_deleted_is_closed(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    stream_id = stream_server.watch("door")
    page = open_stream(stream_tab, stream_id)
    stream_server.streams.delete(stream_id)
    expect(page.get_by_text("This stream was stopped and deleted.")).to_be_visible()
    expect(page.locator("#stream")).to_be_hidden()
    stream_tab.expect_errors("status of 404")


def test_lost_source_and_end_are_shown_and_the_events_are_not_requested_again(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    stream_id = stream_server.watch("door")
    page = open_stream(stream_tab, stream_id)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    stream_server.publish_notice(stream_id, "lost", "it broke off", count=7)
    expect(page.locator("#stream-state")).to_have_text("source lost")
    expect(page.locator("#stream-notice")).to_have_text("it broke off")
    expect(page.locator("#stream-dropped")).to_have_text("7 frames")
    stream_server.streams.end(stream_id, HOLDER)
    expect(page.locator("#stream-state")).to_have_text("ended")
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    with page.expect_request("**/v1/streams?*"):
        pass
    assert not [url for url in requests if url.endswith("/events")]


def test_stream_shows_markup_as_text(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch(MARKUP)
    stream_server.publish_notice(stream_id, "connected", MARKUP)
    alert = stream_server.publish_alert(stream_id)
    explanation = FIRE.model_copy(update={"summary": MARKUP, "reason": MARKUP})
    stream_server.publish_explanation(stream_id, alert, explanation)
    page = open_stream(stream_tab, stream_id)
    expect(page.locator("#stream-name")).to_have_text(MARKUP)
    expect(page.locator("#stream-notice")).to_have_text(MARKUP)
    expect(page.locator("#streams b")).to_have_text(MARKUP)
    expect(page.locator(".alert .summary")).to_have_text(MARKUP)
    assert page.locator("img[onerror]").count() == 0
    assert page.title() == "exvad"


def test_phone_shows_one_column_without_horizontal_scrolling(
    browser: Browser, stream_server: StreamServer
) -> None:
    stream_id = watch_busy_stream(stream_server)
    url = stream_server.url
    with open_tab(browser, url, viewport=PHONE, has_touch=True, is_mobile=True) as tab:
        page = tab.open("#live")
        page.get_by_text("Alert settings").click()
        assert browsing.horizontal_overflow(page) <= 0
        page.locator("#streams a").tap()
        expect(page.locator("#alerts .summary")).to_contain_text("wordword")
        page.get_by_text("All 2 captions").tap()
        assert page.url.endswith(stream_id)
        assert browsing.horizontal_overflow(page) <= 0
        expect(page.locator("#stream-form")).to_be_hidden()
        page.get_by_role("link", name="All streams").tap()
        expect(page.locator("#stream-form")).to_be_visible()
        expect(page.locator("#stream")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast(
    browser: Browser, stream_server: StreamServer, scheme: str
) -> None:
    stream_id = watch_busy_stream(stream_server)
    stream_server.watch("waiting")
    with open_tab(browser, stream_server.url, color_scheme=scheme) as tab:
        page = open_stream(tab, stream_id)
        stream_server.publish_alert(stream_id, 2)
        expect(page.locator("#unseen-alerts")).to_be_visible()
        page.get_by_text("Alert settings").evaluate("element => element.parentElement.open = true")
        page.locator(".alert details").last.evaluate("element => element.open = true")
        assert browsing.low_contrast_texts(page) == {}
        tab.expect_errors(EARLY_FRAME)


def test_keyboard_and_screen_reader_reach_every_control(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    page = open_stream(stream_tab, watch_busy_stream(stream_server))
    page.get_by_text("Alert settings").click()
    expect(page.locator("#alerts img")).to_be_visible()
    assert browsing.num_tab_stops(page) >= browsing.num_controls(page) > 14
    assert browsing.roles_without_name(page) == []
