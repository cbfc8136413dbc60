"""What another tab changes is followed, and lists go on beyond one response of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from exvad.serving.queue.analyses import AnalysisQueue
from tests.helpers.browsing import Tab, open_tab
from tests.helpers.fake_detector import make_analysis
from tests.helpers.page_servers import EARLY_FRAME, StreamServer, open_stream
from tests.helpers.server import Server

HOLDER = "the test"
NUM_ANALYSES = 250


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def queue(server: Server) -> Iterator[AnalysisQueue]:
    """The queue of the server's analyses, emptied after the test."""
    queue = AnalysisQueue(server.settings.database_path)
    yield queue
    with queue.write() as connection:
        connection.execute("delete from analyses")


@pytest.fixture
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    with open_tab(browser, server.url) as tab:
        yield tab


def add_analysis(queue: AnalysisQueue, tmp_path: Path) -> str:
    """Add an analysis that is done."""
    analysis_id = queue.add("a.mp4", tmp_path / "a.mp4", uploaded=False)
    assert queue.claim(HOLDER) is not None
    assert queue.finish(analysis_id, HOLDER, make_analysis("a.mp4"))
    return analysis_id


def test_review_and_deletion_in_another_tab_are_followed(
    tab: Tab, queue: AnalysisQueue, tmp_path: Path
) -> None:
    analysis_id = add_analysis(queue, tmp_path)
    page = tab.open(f"#videos/{analysis_id}")
    expect(page.get_by_role("button", name="Open", pressed=True)).to_be_visible()
    queue.set_triage(analysis_id, "false alarm")
    expect(page.get_by_role("button", name="False alarm", pressed=True)).to_be_visible()
    # Also if the list does not reach it any more.
    for _ in range(31):
        queue.add("newer.mp4", tmp_path / "newer.mp4", uploaded=False)
    expect(page.locator("#analyses b").filter(has_text="a.mp4")).to_have_count(0)
    queue.set_triage(analysis_id, "reviewed")
    expect(page.get_by_role("button", name="Reviewed", pressed=True)).to_be_visible()
    queue.delete(analysis_id)
    expect(page.get_by_text("This analysis was deleted.")).to_be_visible()
    expect(page.locator("#analysis")).to_be_hidden()
    tab.expect_errors("status of 404")


def test_list_goes_on_beyond_one_response(tab: Tab, queue: AnalysisQueue, tmp_path: Path) -> None:
    with queue.write(durable=False) as connection:
        connection.executemany(
            "insert into analyses (id, name, path, uploaded, state, created, finished, options) "
            "values (?, ?, 'x', 0, 'failed', ?, 1, '{}')",
            [(str(number), f"{number}.mp4", number) for number in range(NUM_ANALYSES)],
        )
    page = tab.open()
    rows = page.locator("#analyses li")
    more = page.get_by_role("button", name="Show older analyses")
    for count in (30, 60, 120, 240, NUM_ANALYSES):
        expect(rows).to_have_count(count)
        if count < NUM_ANALYSES:
            more.click()
    expect(rows.last).to_contain_text("0.mp4")
    expect(more).to_be_hidden()


def test_first_scores_are_shown_while_a_video_is_analyzed(
    tab: Tab, queue: AnalysisQueue, tmp_path: Path
) -> None:
    analysis_id = queue.add("a.mp4", tmp_path / "a.mp4", uploaded=False)
    assert queue.claim(HOLDER) is not None
    page = tab.open(f"#videos/{analysis_id}")
    expect(page.locator("#progress-stage")).to_be_visible()
    chart = page.get_by_role("img", name="First anomaly scores")
    expect(chart).to_be_hidden()
    # The parts of a video arrive in any order.
    for start in (4, 0):
        scores = {"times": [start, start + 2], "scores": [0.1, 0.9]}
        queue.publish(analysis_id, HOLDER, "first_scores", scores)
    expect(chart).to_be_visible()
    curve = chart.locator("path.score")
    expect(curve).to_have_count(1)
    expect(curve).to_have_attribute(
        "d",
        "M0.0,127.0L250.0,127.0L250.0,23.0L500.0,23.0L500.0,127.0L750.0,127.0L750.0,23.0L1000.0,23.0",
    )
    assert page.evaluate("() => document.querySelectorAll('svg[hidden]').length") == 0, (
        "SVG elements have no property `hidden`"
    )


def test_alerts_go_on_beyond_one_response(browser: Browser, stream_server: StreamServer) -> None:
    stream_id = stream_server.watch("door")
    for number in range(1, 131):
        stream_server.publish_alert(stream_id, number, with_frame=False)
    with open_tab(browser, stream_server.url) as tab:
        page = open_stream(tab, stream_id)
        expect(page.locator("#alerts > li")).to_have_count(100)
        page.get_by_role("button", name="Show older alerts").click()
        expect(page.locator("#alerts > li")).to_have_count(130)
        expect(page.get_by_role("button", name="Show older alerts")).to_be_hidden()
        oldest = page.get_by_role("group", name="Review of alert 1, arson")
        stream_server.streams.set_triage(stream_id, 1, "reviewed")
        expect(oldest.get_by_role("button", name="Reviewed", pressed=True)).to_be_visible()
        tab.expect_errors(EARLY_FRAME)
