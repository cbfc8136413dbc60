"""The alerts of live streams on the page, in a real browser over the real API."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.helpers.browsing import Tab
from tests.helpers.page_servers import EARLY_FRAME, FIRE, StreamServer, open_stream


def test_new_alert_is_announced_and_updated_in_place(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    stream_id = stream_server.watch("door")
    stream_server.publish_scores(stream_id, range(21), 0.9)
    page = open_stream(stream_tab, stream_id)
    expect(page.get_by_text("No alerts yet.")).to_be_visible()
    alert = stream_server.publish_alert(stream_id)
    announcement = page.get_by_role("alert").filter(has_text="Alert 1 of door: arson, score 0.93.")
    expect(announcement).to_have_count(1)
    assert page.title() == "(1) new alert · exvad"
    expect(page.get_by_role("link", name="Live 1 new")).to_be_visible()
    card = page.locator("#alerts > li")
    expect(card.get_by_role("heading", name="arson")).to_be_visible()
    expect(card.locator(".when")).to_have_text(
        re.compile(r"\d\d:\d\d.* · duration 0:10 · peak score 0\.93 · confidence 54 % · ongoing")
    )
    frame = card.get_by_role("img", name="Frame of arson with the highest score")
    page.wait_for_function("image => image.naturalWidth === 64", arg=frame.element_handle())
    dot = card.locator(".dot").evaluate("element => getComputedStyle(element).backgroundColor")
    span = page.locator("#live-chart .span").evaluate("element => getComputedStyle(element).fill")
    assert dot == span

    card.get_by_role("button", name="Reviewed").focus()
    stream_server.publish_explanation(stream_id, alert)
    expect(card.get_by_text("a bin burns.")).to_be_visible()
    expect(card.get_by_role("button", name="Reviewed")).to_be_focused()
    card.get_by_text("All 2 captions").click()
    expect(card.locator("details .evidence")).to_have_text("a fire evidence")
    expect(page).to_have_title("exvad")
    expect(page.locator("#unseen-alerts")).to_be_hidden()
    stream_server.publish_end(stream_id, alert, 35)
    expect(card.locator(".when")).to_contain_text(
        "duration 0:25 · peak score 0.93 · confidence 54 % · ended"
    )
    expect(card.locator("details .evidence")).to_be_visible()
    stream_tab.expect_errors(EARLY_FRAME)


def test_alerts_of_other_streams_are_announced(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    door, yard = stream_server.watch("door"), stream_server.watch("yard")
    stream_server.publish_alert(door)
    page = stream_tab.open()
    expect(page.locator("#streams li")).to_have_count(2)
    assert page.title() == "exvad", "alerts from before the page was opened are not new"
    stream_server.publish_alert(yard, 1, label="RoadAccidents")
    stream_server.publish_alert(door, 2)
    for text in ("Alert 1 of yard: road accidents", "Alert 2 of door: arson"):
        page.get_by_role("alert").filter(has_text=text).wait_for(state="attached")
    expect(page).to_have_title("(2) new alerts · exvad")
    page.get_by_role("link", name="Live 2 new").click()
    page.locator("#streams").get_by_role("link", name="yard").click()
    expect(page.get_by_role("heading", name="road accidents")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page).to_have_title("(1) new alert · exvad")


def test_frame_that_is_stored_later_is_shown(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    page = open_stream(stream_tab, stream_id)
    stream_server.publish_alert(stream_id, with_frame=False)
    expect(page.locator("#alerts img.missing")).to_have_count(1)
    stream_server.store_frame(stream_id, 1)
    expect(page.locator("#alerts img.missing")).to_have_count(0)
    frame = page.locator("#alerts img").element_handle()
    page.wait_for_function("image => image.naturalWidth === 64", arg=frame)
    stream_tab.expect_errors(EARLY_FRAME)


def test_explanation_that_disagrees_with_the_scores_is_marked(
    stream_tab: Tab, stream_server: StreamServer
) -> None:
    stream_id = stream_server.watch("door")
    normal = FIRE.model_copy(update={"anomalous": False, "category": "Normal"})
    accident = FIRE.model_copy(update={"category": "RoadAccidents"})
    for number, explanation in enumerate((FIRE, accident, normal), 1):
        alert = stream_server.publish_alert(stream_id, number)
        stream_server.publish_explanation(stream_id, alert, explanation)
    page = open_stream(stream_tab, stream_id)
    disagrees = "The explanation disagrees with the scores: it describes"
    expect(page.locator(".alert .disagreement")).to_have_text(
        [f"{disagrees} nothing abnormal.", f"{disagrees} road accidents.", ""]
    )


def test_triage_of_an_alert_is_saved(stream_tab: Tab, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    stream_server.publish_alert(stream_id)
    page = open_stream(stream_tab, stream_id)
    expect(page.locator("#streams small")).to_contain_text("1 to review")
    group = page.get_by_role("group", name="Review of alert 1, arson")
    group.get_by_role("button", name="False alarm").press("Enter")
    expect(group.get_by_role("button", name="False alarm", pressed=True)).to_be_focused()
    expect(page.locator("#streams small")).not_to_contain_text("to review")
    page.reload()
    expect(group.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    alert = stream_server.streams.read_alert(stream_id, 1)
    assert alert is not None
    assert alert.triage == "false alarm"
