"""A stream is held by one watcher at a time; its alerts are stored, published, and ended."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.queue.streams import MAX_ALERTS, MAX_LISTED_ALERTS, StreamQueue
from exvad.serving.queue.webhooks import WebhookQueue
from exvad.serving.schemas.streams import StreamOptions, StreamSource, StreamStatus

SOURCE = StreamSource(path="door.ts")
ALERT = LiveAlert(number=1, state="began", start=1, end=2, label="Arson", peak=0.9)
SCORES = LiveScores(times=[1], scores=[1])
WEBHOOK = "http://receiver/webhook"
LEASE_SECONDS = 0.2


@pytest.fixture
def streams(tmp_path: Path) -> StreamQueue:
    return StreamQueue(tmp_path / "queue.sqlite", LEASE_SECONDS)


def add_and_claim(streams: StreamQueue, holder: str = "first", webhook: str | None = None) -> str:
    stream_id = streams.add("door", SOURCE, StreamOptions(webhook=webhook))
    assert streams.claim(holder) is not None
    return stream_id


def read_status(streams: StreamQueue, stream_id: str) -> StreamStatus:
    status = streams.status(stream_id)
    assert status is not None
    return status


def webhook_bodies(streams: StreamQueue) -> list[str]:
    webhooks, bodies = WebhookQueue(streams.path), []
    while (webhook := webhooks.claim()) is not None:
        assert webhook.body is not None
        bodies.append(webhook.body)
    return bodies


def test_claim_after_a_crash_ends_the_open_alerts_and_keeps_their_number(
    streams: StreamQueue,
) -> None:
    stream_id = add_and_claim(streams, webhook=WEBHOOK)
    assert streams.claim("second") is None
    streams.publish_alert(stream_id, "first", ALERT, WEBHOOK)
    time.sleep(LEASE_SECONDS + 0.1)
    claim = streams.claim("second")
    assert claim is not None
    assert (claim.stream_id, claim.num_alerts) == (stream_id, 1)
    assert not streams.renew(stream_id, "first")
    assert streams.renew(stream_id, "second")
    assert [alert.state for alert in read_status(streams, stream_id).alerts] == ["ended"]
    assert ['"ended"' in body for body in webhook_bodies(streams)] == [False, True]


def test_publish_without_the_lease_stores_nothing(streams: StreamQueue) -> None:
    stream_id = add_and_claim(streams)
    time.sleep(LEASE_SECONDS + 0.1)
    assert streams.claim("second") is not None
    streams.record_detector(stream_id, "second", 0.5, ["Normal", "Arson"])
    events = streams.read_events(stream_id)
    streams.record_detector(stream_id, "first", 0.9, ["Other"])
    streams.publish_scores(stream_id, "first", SCORES, 0.1)
    streams.publish_notice(stream_id, "first", LiveNotice(kind="lost", text="late", count=3))
    streams.publish_alert(stream_id, "first", ALERT, WEBHOOK, b"jpeg")
    assert not streams.store_frame(stream_id, "first", 1, b"jpeg")
    streams.end(stream_id, "first")
    assert streams.read_events(stream_id) == events
    status = read_status(streams, stream_id)
    assert (status.threshold, status.score, status.notice, status.alerts) == (0.5, None, None, [])
    assert status.state == "waiting"
    assert webhook_bodies(streams) == []


def test_end_ends_the_open_alerts(streams: StreamQueue) -> None:
    stream_id = add_and_claim(streams, webhook=WEBHOOK)
    streams.publish_alert(stream_id, "first", ALERT)
    streams.end(stream_id, "first")
    assert [alert.state for alert in read_status(streams, stream_id).alerts] == ["ended"]
    kinds = [kind for _, kind, _ in streams.read_events(stream_id)]
    assert kinds == ["alert", "alert", "ended"]
    (body,) = webhook_bodies(streams)
    assert '"ended"' in body


def test_delete_older_keeps_open_alerts_and_the_number_of_alerts(streams: StreamQueue) -> None:
    stream_id = add_and_claim(streams)
    for number, state in ((1, "began"), (1, "ended"), (2, "began")):
        alert = ALERT.model_copy(update={"number": number, "state": state})
        streams.publish_alert(stream_id, "first", alert)
    streams.delete_older(-1)
    assert [alert.number for alert in read_status(streams, stream_id).alerts] == [2]
    time.sleep(LEASE_SECONDS + 0.1)
    claim = streams.claim("second")
    assert claim is not None
    streams.delete_older(-1)
    assert read_status(streams, stream_id).alerts == []
    assert claim.num_alerts == 2


def test_events_of_a_busy_stream_displace_none_of_a_quiet_stream(
    streams: StreamQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.queue.alerts.MAX_EVENTS", 5)
    quiet, busy = (add_and_claim(streams, holder) for holder in ("quiet", "busy"))
    streams.publish_notice(quiet, "quiet", LiveNotice(kind="connected", text="open"))
    for _ in range(20):
        streams.publish_scores(busy, "busy", SCORES, 0.1)
    streams.publish_scores(quiet, "quiet", SCORES, 0.1)
    assert [kind for _, kind, _ in streams.read_events(quiet)] == ["notice", "scores"]
    assert len(streams.read_events(busy)) == 5


def test_publish_alert_that_merely_lasts_appends_an_event_but_no_webhook(
    streams: StreamQueue,
) -> None:
    stream_id = add_and_claim(streams)
    lasting = ALERT.model_copy(update={"state": "lasted", "end": 9.0, "peak": 0.95})
    for alert in (ALERT, lasting):
        streams.publish_alert(stream_id, "first", alert, WEBHOOK)
    (status,) = read_status(streams, stream_id).alerts
    assert (status.end, status.peak) == (9.0, 0.95)
    assert [kind for _, kind, _ in streams.read_events(stream_id)] == ["alert", "alert"]
    assert len(webhook_bodies(streams)) == 1


def test_status_and_list_page_have_the_newest_alerts_and_count_open_triage(
    streams: StreamQueue,
) -> None:
    stream_id, newest = add_and_claim(streams), MAX_ALERTS + 5
    for number in range(1, newest + 1):
        streams.publish_alert(stream_id, "first", ALERT.model_copy(update={"number": number}))
    assert streams.set_triage(stream_id, 3, "false alarm")
    (listed,), total = streams.list_page(10, 0)
    assert total == 1
    numbers = [alert.number for alert in listed.alerts]
    assert numbers == [newest - index for index in range(MAX_LISTED_ALERTS)]
    assert listed.untriaged == newest - 1
    status = read_status(streams, stream_id)
    assert len(status.alerts) == MAX_ALERTS
    assert status.untriaged == newest - 1


def database_content(streams: StreamQueue) -> bytes:
    files = streams.path.parent.glob(f"{streams.path.name}*")
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("way", ["delete", "end"])
def test_password_of_a_stream_that_is_not_watched_any_more_is_erased(
    streams: StreamQueue, way: str
) -> None:
    source = StreamSource(url="rtsp://admin:the-password@camera/door")
    stream_id = streams.add("door", source, StreamOptions())
    assert streams.claim("watcher") is not None
    streams.publish_alert(stream_id, "watcher", ALERT)
    assert b"the-password" in database_content(streams)
    if way == "delete":
        assert streams.delete(stream_id)
    else:
        streams.end(stream_id, "watcher")
        assert read_status(streams, stream_id).alerts
    assert b"the-password" not in database_content(streams)


def test_alerts_beyond_those_of_one_status_are_listed_before_a_number(
    streams: StreamQueue,
) -> None:
    stream_id = add_and_claim(streams)
    for number in range(1, MAX_ALERTS + 4):
        streams.publish_alert(stream_id, "first", ALERT.model_copy(update={"number": number}))
    newest = read_status(streams, stream_id)
    assert newest.num_alerts == MAX_ALERTS + 3
    oldest_listed = newest.alerts[-1].number
    before = streams.status(stream_id, alerts_before=oldest_listed)
    assert before is not None
    assert [alert.number for alert in before.alerts] == [3, 2, 1]


def test_domain_of_a_stream_stays_whatever_its_source_does(streams: StreamQueue) -> None:
    stream_id = add_and_claim(streams)

    def publish(kind: str, text: str, outside: bool = False) -> tuple[str | None, str]:
        notice = LiveNotice(kind=kind, text=text, outside=outside)
        streams.publish_notice(stream_id, "first", notice)
        status = read_status(streams, stream_id)
        return status.notice, status.domain

    publish("connected", "the source is open")
    assert publish("domain", "It is outside.", outside=True) == (
        "the source is open",
        "It is outside.",
    )
    assert publish("lost", "the camera is off") == ("the camera is off", "It is outside.")
    assert publish("domain", "It is like training.") == ("the camera is off", "")
    publish("domain", "It is outside.", outside=True)
    streams.record_detector(stream_id, "first", 0.5, ["Normal", "Arson"])
    assert read_status(streams, stream_id).domain == ""  # another detector looks for itself


def test_scores_have_the_time_at_which_their_newest_frame_arrived(streams: StreamQueue) -> None:
    stream_id = add_and_claim(streams)
    streams.publish_scores(stream_id, "first", SCORES, 0.1, 1000.5)
    assert read_status(streams, stream_id).scored_at == 1000.5


def test_an_alert_began_when_the_frame_at_its_start_arrived(streams: StreamQueue) -> None:
    stream_id = add_and_claim(streams)

    def publish(began_at: float | None, **changes: object) -> float:
        alert = ALERT.model_copy(update=changes)
        streams.publish_alert(stream_id, "first", alert, began_at=began_at)
        return read_status(streams, stream_id).alerts[0].began_at

    assert publish(1000.0, start=5.0) == 1000
    assert publish(1000.2, start=5.0, state="lasted") == 1000
    assert publish(998.0, start=3.0, state="changed") == 998
    assert publish(None, start=3.0, state="ended") == 998
    assert publish(1004.0, start=9.0, state="explained") == 998  # the start of an ended alert stays
