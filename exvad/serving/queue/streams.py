"""Streams that are watched, who watches them, and their alerts.

A watcher holds its stream by a lease it renews, as a worker holds an analysis; when it dies,
another one takes the stream up, and the numbers of its alerts go on.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.queue.alerts import (
    alert_of,
    alerts_of,
    end_alerts,
    forget_alerts,
    frame_of,
    judge,
    keep_frame,
    say_of_stream,
    tell_alert,
)
from exvad.serving.queue.analyses import FullError
from exvad.serving.queue.database import Database, count
from exvad.serving.schemas.analyses import Triage
from exvad.serving.schemas.streams import AlertStatus, StreamOptions, StreamSource, StreamStatus

MOST_ALERTS = 100  # shown with a stream
LISTED_ALERTS = 3  # shown with each of several streams
STATES = {"connected": "watching", "lost": "lost"}


class StreamClaim(NamedTuple):
    """A stream that was taken up.

    Args:
        number: its id.
        holder: who took it up.
        name: how it is called.
        source: where its pictures come from; a path is the server's own.
        options: how it is watched.
        created: when it began, in seconds since 1970.
        seconds: of the newest score, since it began.
        alerts: how many alerts it has had.
    """

    number: str
    holder: str
    name: str
    source: StreamSource
    options: StreamOptions
    created: float
    seconds: float | None
    alerts: int


class Streams(Database):
    """The streams.

    Args:
        path: the file; made if it is not there.
        lease_seconds: how long a watcher may be silent.
    """

    def __init__(self, path: Path, lease_seconds: float = 30) -> None:
        super().__init__(path)
        self.lease_seconds = lease_seconds

    def add(
        self, name: str, source: StreamSource, options: StreamOptions, most: int | None = None
    ) -> str:
        """Accept a stream and return its id.

        Raises:
            FullError: `most` streams are watched already.
        """
        number = uuid.uuid4().hex
        with self.write() as base:
            if most is not None and _watched(base) >= most:
                raise FullError
            base.execute(
                "insert into streams (id, name, source, options, state, created) "
                "values (?, ?, ?, ?, 'waiting', ?)",
                (number, name, source.model_dump_json(), options.model_dump_json(), time.time()),
            )
        return number

    def watched(self) -> int:
        """Return how many streams have not ended."""
        with self.read() as base:
            return _watched(base)

    def claim(self, holder: str) -> StreamClaim | None:
        """Take the oldest stream that nobody watches; None if there is none."""
        now = time.time()
        with self.write() as base:
            row = base.execute(
                "update streams set holder = ?, lease = ?, state = 'waiting' where id = "
                "(select id from streams where state != 'ended' and coalesce(lease, 0) < ? "
                "order by created limit 1) "
                "returning id, name, source, options, created, seconds, alerts",
                (holder, now + self.lease_seconds, now),
            ).fetchone()
            if row is None:
                return None
            options = StreamOptions.model_validate_json(row["options"])
            end_alerts(base, row["id"], options.webhook)  # of whoever watched it and died
        return StreamClaim(
            row["id"],
            holder,
            row["name"],
            StreamSource.model_validate_json(row["source"]),
            options,
            row["created"],
            row["seconds"],
            row["alerts"],
        )

    def begin(self, number: str, holder: str, threshold: float, classes: Sequence[str]) -> None:
        """Note with what a stream is watched."""
        with self.write(durable=False) as base:
            base.execute(
                "update streams set threshold = ?, classes = ? where id = ? and holder = ?",
                (threshold, json.dumps(list(classes)), number, holder),
            )

    def renew(self, number: str, holder: str) -> bool:
        """Say that it is still watched; False if it is no longer the holder's to watch."""
        with self.write(durable=False) as base:
            found = base.execute(
                "update streams set lease = ? where id = ? and holder = ? and state != 'ended'",
                (time.time() + self.lease_seconds, number, holder),
            )
            return found.rowcount == 1

    def release(self, number: str, holder: str) -> None:
        """Let somebody else watch a stream."""
        with self.write() as base:
            base.execute(
                "update streams set lease = 0 where id = ? and holder = ?", (number, holder)
            )

    def tell_scores(self, number: str, holder: str, scores: LiveScores, delay: float) -> None:
        """Note new scores, unless another one holds the stream by now."""
        with self.write(durable=False) as base:
            found = base.execute(
                "update streams set seconds = ?, score = ?, delay = ? where id = ? and holder = ?",
                (scores.times[-1], scores.scores[-1], round(delay, 3), number, holder),
            )
            if found.rowcount == 1:
                say_of_stream(base, number, "scores", scores.model_dump_json())

    def tell_notice(self, number: str, holder: str, notice: LiveNotice) -> None:
        """Note something about the source, unless another one holds the stream by now."""
        with self.write(durable=False) as base:
            found = base.execute(
                "update streams set notice = ?, dropped = dropped + ?, state = "
                "coalesce(?, state) where id = ? and holder = ?",
                (notice.text, notice.count, STATES.get(notice.kind), number, holder),
            )
            if found.rowcount == 1:
                say_of_stream(base, number, "notice", notice.model_dump_json())

    def tell_alert(
        self,
        number: str,
        holder: str,
        alert: LiveAlert,
        webhook: str | None = None,
        frame: bytes | None = None,
    ) -> None:
        """Note an alert, or what is new about it, unless another one holds the stream by now.

        Args:
            number: id of the stream.
            holder: who says so.
            alert: the alert.
            webhook: who is posted it; not that it merely lasts.
            frame: JPEG of its peak, if that is new.
        """
        with self.write() as base:
            if not _holds(base, number, holder):
                return
            if alert.state == "began":
                count(base, "alerts")
                base.execute("update streams set alerts = ? where id = ?", (alert.number, number))
            tell_alert(base, number, alert, webhook)
            if frame is not None:
                keep_frame(base, number, alert.number, frame)

    def keep_frame(self, number: str, holder: str, alert: int, jpeg: bytes) -> bool:
        """Keep the picture of an alert's peak; False if the alert has not been told yet."""
        with self.write(durable=False) as base:
            return _holds(base, number, holder) and keep_frame(base, number, alert, jpeg)

    def frame(self, number: str, alert: int) -> bytes | None:
        """Return the picture of an alert's peak as JPEG."""
        with self.read() as base:
            return frame_of(base, number, alert)

    def end(self, number: str, holder: str) -> None:
        """Note that a stream has ended."""
        with self.write() as base:
            row = base.execute(
                "update streams set state = 'ended', finished = ?, holder = null "
                "where id = ? and holder = ? returning options",
                (time.time(), number, holder),
            ).fetchone()
            if row is not None:
                options = StreamOptions.model_validate_json(row["options"])
                end_alerts(base, number, options.webhook)
                say_of_stream(base, number, "ended", "{}")

    def status(self, number: str) -> StreamStatus | None:
        """Return where a stream stands, or None if there is none."""
        with self.read() as base:
            row = base.execute("select * from streams where id = ?", (number,)).fetchone()
            return None if row is None else self._status(base, row)

    def listing(self, limit: int, offset: int) -> tuple[list[StreamStatus], int]:
        """Return a page of streams with a few alerts each, newest first, and how many there are."""
        with self.read() as base:
            (total,) = base.execute("select count(*) from streams").fetchone()
            rows = base.execute(
                "select * from streams order by created desc limit ? offset ?", (limit, offset)
            ).fetchall()
            return [self._status(base, row, LISTED_ALERTS) for row in rows], int(total)

    def alert(self, number: str, alert: int) -> AlertStatus | None:
        """Return an alert of a stream, or None if there is none."""
        with self.read() as base:
            return alert_of(base, number, alert)

    def triage(self, number: str, alert: int, triage: Triage) -> bool:
        """Keep what a person made of an alert; False if there is none."""
        with self.write() as base:
            return judge(base, number, alert, triage)

    def remove(self, number: str) -> bool:
        """Forget a stream and its alerts; who watches it stops. False if there is none."""
        with self.write() as base:
            found = base.execute("delete from streams where id = ?", (number,))
            base.execute("delete from alerts where stream = ?", (number,))
            base.execute("delete from events where id = ?", (number,))
            return found.rowcount == 1

    def forget_older(self, hours: float) -> None:
        """Forget streams that ended longer ago, and the older alerts of those that go on."""
        before = time.time() - hours * 3600
        with self.read() as base:
            rows = base.execute("select id from streams where finished < ?", (before,)).fetchall()
        for row in rows:
            self.remove(row["id"])
        with self.write() as base:
            forget_alerts(base, before)

    def _status(
        self, base: sqlite3.Connection, row: sqlite3.Row, most: int = MOST_ALERTS
    ) -> StreamStatus:
        alerts, unjudged = alerts_of(base, row["id"], most)
        shown = ("id", "name", "state", "created", "finished", "seconds", "delay", "score",
                 "dropped", "notice", "threshold")  # fmt: skip
        options = StreamOptions.model_validate_json(row["options"])
        return StreamStatus(
            **{name: row[name] for name in shown},
            classes=json.loads(row["classes"]),
            untrained=list(options.categories),
            unjudged=unjudged,
            alerts=alerts,
        )


def _watched(base: sqlite3.Connection) -> int:
    (found,) = base.execute("select count(*) from streams where state != 'ended'").fetchone()
    return int(found)


def _holds(base: sqlite3.Connection, number: str, holder: str) -> bool:
    found = base.execute("select 1 from streams where id = ? and holder = ?", (number, holder))
    return found.fetchone() is not None
