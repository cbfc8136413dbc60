"""A stream belongs to one watcher at a time; its alerts are kept, told, and closed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.queue.streams import LISTED_ALERTS, MOST_ALERTS, Streams
from exvad.serving.queue.webhooks import Hooks
from exvad.serving.schemas.streams import StreamOptions, StreamSource, StreamStatus

SOURCE = StreamSource(path="door.ts")
BEGUN = LiveAlert(number=1, state="began", start=1, end=2, label="Arson", peak=0.9)


@pytest.fixture
def streams(tmp_path: Path) -> Streams:
    return Streams(tmp_path / "queue.sqlite", lease_seconds=0.2)


def watched(streams: Streams, webhook: str | None = None) -> str:
    number = streams.add("door", SOURCE, StreamOptions(webhook=webhook))
    assert streams.claim("one") is not None
    return number


def status(streams: Streams, number: str) -> StreamStatus:
    found = streams.status(number)
    assert found is not None
    return found


def test_the_stream_of_a_watcher_that_died_is_taken_up_with_its_alerts_closed(
    streams: Streams,
) -> None:
    number = watched(streams, "http://there/hook")
    assert streams.claim("two") is None
    streams.tell_alert(number, "one", BEGUN, "http://there/hook")
    time.sleep(0.3)
    second = streams.claim("two")
    assert second is not None
    assert (second.number, second.alerts) == (number, 1)
    assert not streams.renew(number, "one")
    assert streams.renew(number, "two")
    assert [each.state for each in status(streams, number).alerts] == ["ended"]
    hooks, told = Hooks(streams.path), []
    while (hook := hooks.due()) is not None:
        assert hook.body is not None
        told.append('"ended"' in hook.body)
    assert told == [False, True]


def test_who_lost_a_stream_can_say_nothing_of_it(streams: Streams) -> None:
    number = watched(streams)
    time.sleep(0.3)
    assert streams.claim("two") is not None
    streams.begin(number, "two", 0.5, ["Normal", "Arson"])
    before = streams.events(number)
    streams.begin(number, "one", 0.9, ["Other"])
    streams.tell_scores(number, "one", LiveScores(times=[1], scores=[1]), 0.1)
    streams.tell_notice(number, "one", LiveNotice(kind="lost", text="late", count=3))
    streams.tell_alert(number, "one", BEGUN, "http://there/hook", b"jpeg")
    assert not streams.keep_frame(number, "one", 1, b"jpeg")
    streams.end(number, "one")
    assert streams.events(number) == before
    found = status(streams, number)
    assert (found.threshold, found.score, found.notice, found.alerts) == (0.5, None, None, [])
    assert found.state == "waiting"
    assert Hooks(streams.path).due() is None


def test_the_end_of_a_stream_ends_what_goes_on(streams: Streams) -> None:
    number = watched(streams, "http://there/hook")
    streams.tell_alert(number, "one", BEGUN)
    streams.end(number, "one")
    assert [each.state for each in status(streams, number).alerts] == ["ended"]
    assert [kind for _, kind, _ in streams.events(number)] == ["alert", "alert", "ended"]
    hook = Hooks(streams.path).due()
    assert hook is not None
    assert hook.body is not None
    assert '"ended"' in hook.body


def test_an_alert_that_goes_on_is_kept_and_numbers_go_on_after_old_ones_are_gone(
    streams: Streams,
) -> None:
    number = watched(streams)
    for alert, state in ((1, "began"), (1, "ended"), (2, "began")):
        told = BEGUN.model_copy(update={"number": alert, "state": state})
        streams.tell_alert(number, "one", told)
    streams.forget_older(-1)
    assert [each.number for each in status(streams, number).alerts] == [2]
    time.sleep(0.3)
    again = streams.claim("two")
    assert again is not None
    streams.forget_older(-1)
    assert status(streams, number).alerts == []
    assert again.alerts == 2


def test_what_others_say_takes_no_event_from_a_quiet_stream(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.queue.alerts.MOST_EVENTS", 5)
    numbers = []
    for holder in ("quiet", "busy"):
        numbers.append(streams.add(holder, SOURCE, StreamOptions()))
        assert streams.claim(holder) is not None
    scores = LiveScores(times=[1], scores=[1])
    streams.tell_notice(numbers[0], "quiet", LiveNotice(kind="connected", text="open"))
    for _ in range(20):
        streams.tell_scores(numbers[1], "busy", scores, 0.1)
    streams.tell_scores(numbers[0], "quiet", scores, 0.1)
    assert [kind for _, kind, _ in streams.events(numbers[0])] == ["notice", "scores"]
    assert len(streams.events(numbers[1])) == 5


def test_an_alert_that_lasts_is_told_to_followers_but_posted_to_nobody(streams: Streams) -> None:
    number = watched(streams)
    longer = BEGUN.model_copy(update={"state": "lasted", "end": 9.0, "peak": 0.95})
    for alert in (BEGUN, longer):
        streams.tell_alert(number, "one", alert, "http://there/hook")
    (kept,) = status(streams, number).alerts
    assert (kept.end, kept.peak) == (9.0, 0.95)
    assert [kind for _, kind, _ in streams.events(number)] == ["alert", "alert"]
    hooks = Hooks(streams.path)
    assert hooks.due() is not None
    assert hooks.due() is None


def test_a_list_has_the_newest_alerts_and_how_many_wait_for_a_judgement(streams: Streams) -> None:
    number = watched(streams)
    for alert in range(1, MOST_ALERTS + 6):
        streams.tell_alert(number, "one", BEGUN.model_copy(update={"number": alert}))
    assert streams.triage(number, 3, "false alarm")
    (listed,), _ = streams.listing(10, 0)
    newest = MOST_ALERTS + 5
    assert [each.number for each in listed.alerts] == [newest - n for n in range(LISTED_ALERTS)]
    assert listed.unjudged == newest - 1
    whole = status(streams, number)
    assert len(whole.alerts) == MOST_ALERTS
    assert whole.unjudged == newest - 1
