"""Alerts of streams, read and written within a transaction of the stream queue."""

from __future__ import annotations

import json
import sqlite3
import time

from exvad.live.alert_states import merge_states
from exvad.results.live import LiveAlert
from exvad.serving.queue.database import append_event
from exvad.serving.queue.webhooks import add_webhook
from exvad.serving.schemas.analyses import Triage
from exvad.serving.schemas.streams import AlertStatus

MAX_EVENTS = 2000  # stored events of a stream


def publish_alert(
    connection: sqlite3.Connection,
    stream_id: str,
    alert: LiveAlert,
    webhook: str | None,
    began_at: float | None = None,
) -> None:
    """Store an alert or its new state, append its event, and add its webhook.

    Args:
        connection: the open transaction.
        stream_id: id of the stream; an alert of a deleted stream is dropped.
        alert: the alert.
        webhook: URL that receives the alert, except when it merely lasts.
        began_at: when the frame at its start arrived, in seconds since 1970; None for when its
            first state was published.
    """
    row = connection.execute(
        "select alert from alerts where stream_id = ? and number = ?", (stream_id, alert.number)
    ).fetchone()
    earlier = None if row is None else LiveAlert.model_validate_json(row["alert"])
    merged = merge_states(earlier, alert)
    if began_at is not None:
        began_at += merged.start - alert.start  # an ended alert keeps its start
        if earlier is not None and merged.start == earlier.start:
            began_at = None  # nor does that of any other move while it stays where it is
    values = {
        "number": alert.number,
        "alert": merged.model_dump_json(),
        "stream_id": stream_id,
        "began_at": began_at,
        "now": time.time(),
    }
    row = connection.execute(
        "insert into alerts (stream_id, number, began_at, alert) "
        "select id, :number, coalesce(:began_at, :now), :alert from streams where id = :stream_id "
        "on conflict (stream_id, number) do update set alert = excluded.alert, "
        "began_at = coalesce(:began_at, began_at) returning began_at, alert, triage",
        values,
    ).fetchone()
    if row is None:
        return
    status = _to_status(row)
    if alert.state == "placed":  # stored as ended; who hears of it learns why it comes once more
        status = status.model_copy(update={"state": alert.state})
    append_stream_event(connection, stream_id, "alert", status.model_dump_json())
    if webhook is not None and alert.state != "lasted":
        body = json.dumps({"stream": stream_id, "alert": status.model_dump()})
        add_webhook(connection, webhook, body=body)


def end_alerts(connection: sqlite3.Connection, stream_id: str, webhook: str | None) -> None:
    """End the open alerts of a stream that is not watched any more.

    Args:
        connection: the open transaction.
        stream_id: id of the stream.
        webhook: URL that receives the ended alerts.
    """
    rows = connection.execute(
        "select alert from alerts where stream_id = ? "
        "and json_extract(alert, '$.state') != 'ended' order by number",
        (stream_id,),
    ).fetchall()
    for row in rows:
        alert = LiveAlert.model_validate_json(row["alert"])
        ended = alert.model_copy(update={"state": "ended"})
        publish_alert(connection, stream_id, ended, webhook)


def store_frame(
    connection: sqlite3.Connection, stream_id: str, alert_number: int, jpeg: bytes
) -> bool:
    """Store the frame of an alert's peak as JPEG; False if the alert does not exist."""
    updated = connection.execute(
        "update alerts set frame = ? where stream_id = ? and number = ?",
        (jpeg, stream_id, alert_number),
    )
    return updated.rowcount == 1


def read_frame(connection: sqlite3.Connection, stream_id: str, alert_number: int) -> bytes | None:
    """Return the frame of an alert's peak as JPEG; None if there is none."""
    row = connection.execute(
        "select frame from alerts where stream_id = ? and number = ?", (stream_id, alert_number)
    ).fetchone()
    return None if row is None else row["frame"]


def read_alert(
    connection: sqlite3.Connection, stream_id: str, alert_number: int
) -> AlertStatus | None:
    """Return an alert; None if it does not exist."""
    row = connection.execute(
        "select began_at, alert, triage from alerts where stream_id = ? and number = ?",
        (stream_id, alert_number),
    ).fetchone()
    return None if row is None else _to_status(row)


def read_alerts(
    connection: sqlite3.Connection, stream_id: str, limit: int, before: int | None = None
) -> list[AlertStatus]:
    """Return the newest alerts of a stream, newest first.

    Args:
        connection: an open connection.
        stream_id: id of the stream.
        limit: largest number of alerts.
        before: only alerts with a smaller number; None for all.
    """
    rows = connection.execute(
        "select began_at, alert, triage from alerts where stream_id = ? "
        "and number < coalesce(?, number + 1) order by number desc limit ?",
        (stream_id, before, limit),
    ).fetchall()
    return [_to_status(row) for row in rows]


def count_alerts(connection: sqlite3.Connection, stream_id: str) -> tuple[int, int]:
    """Return the number of alerts of a stream, and of those whose triage is open."""
    total, untriaged = connection.execute(
        "select count(*), count(*) filter (where triage = 'open') from alerts where stream_id = ?",
        (stream_id,),
    ).fetchone()
    return int(total), int(untriaged)


def set_triage(
    connection: sqlite3.Connection, stream_id: str, alert_number: int, triage: Triage
) -> bool:
    """Store a person's triage of an alert; False if the alert does not exist."""
    updated = connection.execute(
        "update alerts set triage = ? where stream_id = ? and number = ?",
        (triage, stream_id, alert_number),
    )
    return updated.rowcount == 1


def delete_alerts_before(connection: sqlite3.Connection, before: float) -> None:
    """Delete ended alerts that began before a time, in seconds since 1970."""
    connection.execute(
        "delete from alerts where began_at < ? and json_extract(alert, '$.state') = 'ended'",
        (before,),
    )


def append_stream_event(
    connection: sqlite3.Connection, stream_id: str, kind: str, data: str
) -> None:
    """Append an event of a stream, and delete its events beyond the newest `MAX_EVENTS`.

    Args:
        connection: the open transaction.
        stream_id: id of the stream.
        kind: `scores`, `alert`, `notice` or `ended`.
        data: JSON.
    """
    append_event(connection, stream_id, kind, data)
    connection.execute(
        "delete from events where subject_id = ? and number <= "
        "(select number from events where subject_id = ? order by number desc limit 1 offset ?)",
        (stream_id, stream_id, MAX_EVENTS),
    )


def _to_status(row: sqlite3.Row) -> AlertStatus:
    alert = json.loads(row["alert"])
    return AlertStatus(**alert, began_at=row["began_at"], triage=row["triage"])
