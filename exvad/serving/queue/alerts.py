"""The alerts of streams: kept, told to those who follow, and posted, within a transaction."""

from __future__ import annotations

import json
import sqlite3
import time

from exvad.results.live import LiveAlert
from exvad.serving.queue.database import say
from exvad.serving.queue.webhooks import add_hook
from exvad.serving.schemas.analyses import Triage
from exvad.serving.schemas.streams import AlertStatus

MOST_EVENTS = 2000  # kept for those who follow a stream


def tell_alert(
    base: sqlite3.Connection, stream: str, alert: LiveAlert, webhook: str | None
) -> None:
    """Note what is new about an alert.

    Args:
        base: the open transaction.
        stream: id of its stream; of one that was deleted nothing is noted.
        alert: the alert.
        webhook: who is posted it; not that it merely lasts.
    """
    row = base.execute(
        "select alert from alerts where stream = ? and number = ?", (stream, alert.number)
    ).fetchone()
    known = {} if row is None else json.loads(row["alert"])
    # An explanation stays when the alert goes on.
    blank = {name for name in ("explanation", "captions") if not getattr(alert, name)}
    merged = {**known, **alert.model_dump(exclude=blank)}
    if known.get("state") == "ended":  # an explanation that came after the end
        merged |= {name: known[name] for name in ("state", "start", "end", "label", "peak")}
    row = base.execute(
        "insert into alerts (stream, number, began_at, alert) "
        "select id, ?, ?, ? from streams where id = ? "
        "on conflict (stream, number) do update set alert = excluded.alert "
        "returning began_at, alert, triage",
        (alert.number, time.time(), json.dumps(merged), stream),
    ).fetchone()
    if row is None:
        return
    kept = _alert(row)
    say_of_stream(base, stream, "alert", kept.model_dump_json())
    if webhook is not None and alert.state != "lasted":
        about = {"stream": stream, "alert": kept.model_dump()}
        add_hook(base, webhook, body=json.dumps(about))


def end_alerts(base: sqlite3.Connection, stream: str, webhook: str | None) -> None:
    """End what goes on, where nobody watches any more."""
    rows = base.execute(
        "select alert from alerts where stream = ? "
        "and json_extract(alert, '$.state') != 'ended' order by number",
        (stream,),
    ).fetchall()
    for row in rows:
        alert = LiveAlert.model_validate_json(row["alert"])
        tell_alert(base, stream, alert.model_copy(update={"state": "ended"}), webhook)


def keep_frame(base: sqlite3.Connection, stream: str, alert: int, jpeg: bytes) -> bool:
    """Keep the picture of an alert's peak; False if there is no such alert."""
    found = base.execute(
        "update alerts set frame = ? where stream = ? and number = ?", (jpeg, stream, alert)
    )
    return found.rowcount == 1


def frame_of(base: sqlite3.Connection, stream: str, alert: int) -> bytes | None:
    """Return the picture of an alert's peak as JPEG."""
    row = base.execute(
        "select frame from alerts where stream = ? and number = ?", (stream, alert)
    ).fetchone()
    return None if row is None else row["frame"]


def alert_of(base: sqlite3.Connection, stream: str, alert: int) -> AlertStatus | None:
    """Return an alert, or None if there is none."""
    row = base.execute(
        "select began_at, alert, triage from alerts where stream = ? and number = ?",
        (stream, alert),
    ).fetchone()
    return None if row is None else _alert(row)


def alerts_of(base: sqlite3.Connection, stream: str, most: int) -> tuple[list[AlertStatus], int]:
    """Return the newest alerts, and how many nobody has judged."""
    rows = base.execute(
        "select began_at, alert, triage from alerts where stream = ? order by number desc limit ?",
        (stream, most),
    ).fetchall()
    (unjudged,) = base.execute(
        "select count(*) from alerts where stream = ? and triage = 'open'", (stream,)
    ).fetchone()
    return [_alert(row) for row in rows], int(unjudged)


def judge(base: sqlite3.Connection, stream: str, alert: int, triage: Triage) -> bool:
    """Keep what a person made of an alert; False if there is none."""
    found = base.execute(
        "update alerts set triage = ? where stream = ? and number = ?", (triage, stream, alert)
    )
    return found.rowcount == 1


def forget_alerts(base: sqlite3.Connection, before: float) -> None:
    """Forget alerts that began before a moment and have ended."""
    base.execute(
        "delete from alerts where began_at < ? and json_extract(alert, '$.state') = 'ended'",
        (before,),
    )


def say_of_stream(base: sqlite3.Connection, stream: str, kind: str, data: str) -> None:
    """Note an event for those who follow a stream, and forget its oldest."""
    say(base, stream, kind, data)
    base.execute(
        "delete from events where id = ? and number <= "
        "(select number from events where id = ? order by number desc limit 1 offset ?)",
        (stream, stream, MOST_EVENTS),
    )


def _alert(row: sqlite3.Row) -> AlertStatus:
    known = json.loads(row["alert"])
    return AlertStatus(**known, began_at=row["began_at"], triage=row["triage"])
