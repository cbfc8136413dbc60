"""The queue of streams: live sources, their leases, and their alerts.

A watcher holds a stream by a lease that it renews. The lease of a watcher that crashed expires, and
another watcher claims the stream. The alerts go on with the next number.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.queue.alerts import (
    append_stream_event,
    count_alerts,
    delete_alerts_before,
    end_alerts,
    publish_alert,
    read_alert,
    read_alerts,
    read_frame,
    set_triage,
    store_frame,
)
from exvad.serving.queue.database import increment_counter
from exvad.serving.queue.leased import LeasedQueue, QueueFullError
from exvad.serving.queue.schema import FORGET_SOURCE
from exvad.serving.schemas.analyses import Triage
from exvad.serving.schemas.streams import AlertStatus, StreamOptions, StreamSource, StreamStatus

MAX_ALERTS = 100  # in the status of one stream
MAX_LISTED_ALERTS = 3  # of each stream in a list
STATE_OF_NOTICE = {"connected": "watching", "lost": "lost"}


class StreamClaim(NamedTuple):
    """A stream that a watcher claimed.

    Args:
        stream_id: id of the stream.
        holder: the watcher.
        name: displayed name.
        source: where the frames come from; a path is absolute.
        options: how the stream is watched.
        created: when the stream was submitted, in seconds since 1970.
        seconds: time of the newest score, in seconds since the stream began; None without scores.
        num_alerts: number of alerts so far.
    """

    stream_id: str
    holder: str
    name: str
    source: StreamSource
    options: StreamOptions
    created: float
    seconds: float | None
    num_alerts: int


class StreamQueue(LeasedQueue):
    """The queue of streams; see `LeasedQueue` for its arguments."""

    def add(
        self,
        name: str,
        source: StreamSource,
        options: StreamOptions,
        max_streams: int | None = None,
    ) -> str:
        """Add a stream and return its id.

        Args:
            name: displayed name.
            source: where the frames come from.
            options: how the stream is watched.
            max_streams: largest number of streams that have not ended; None for no limit.

        Raises:
            QueueFullError: there are `max_streams` streams already.
        """
        stream_id = uuid.uuid4().hex
        with self.write() as connection:
            if max_streams is not None and _num_watched(connection) >= max_streams:
                raise QueueFullError
            connection.execute(
                "insert into streams (id, name, source, options, state, created) "
                "values (?, ?, ?, ?, 'waiting', ?)",
                (stream_id, name, source.model_dump_json(), options.model_dump_json(), time.time()),
            )
        return stream_id

    def num_watched(self) -> int:
        """Return the number of streams that have not ended."""
        with self.read() as connection:
            return _num_watched(connection)

    def claim(self, holder: str) -> StreamClaim | None:
        """Claim the oldest stream that no watcher holds; None if there is none."""
        now, expired = time.time(), self.expired_before()
        with self.write() as connection:
            row = connection.execute(
                "update streams set holder = ?, lease = ?, state = 'waiting' where id = "
                "(select id from streams where state != 'ended' "
                "and (coalesce(lease, 0) = 0 or lease < ?) order by created limit 1) "
                "returning id, name, source, options, created, seconds, num_alerts",
                (holder, now + self.lease_seconds, expired),
            ).fetchone()
            if row is None:
                return None
            options = StreamOptions.model_validate_json(row["options"])
            end_alerts(connection, row["id"], options.webhook)  # of a watcher that crashed
        return StreamClaim(
            row["id"],
            holder,
            row["name"],
            StreamSource.model_validate_json(row["source"]),
            options,
            row["created"],
            row["seconds"],
            row["num_alerts"],
        )

    def record_detector(
        self, stream_id: str, holder: str, threshold: float, classes: Sequence[str]
    ) -> None:
        """Store the properties of the detector that watches a stream from now on.

        Args:
            stream_id: id of the stream.
            holder: the watcher.
            threshold: an alert begins above this score.
            classes: class names, the normal class first.
        """
        with self.write(durable=False) as connection:
            connection.execute(
                "update streams set threshold = ?, classes = ?, domain = '' "
                "where id = ? and holder = ?",
                (threshold, json.dumps(list(classes)), stream_id, holder),
            )

    def renew(self, stream_id: str, holder: str) -> bool:
        """Renew a lease; False if the watcher does not hold the stream any more."""
        with self.write(durable=False) as connection:
            renewed = connection.execute(
                "update streams set lease = ? where id = ? and holder = ? and state != 'ended'",
                (time.time() + self.lease_seconds, stream_id, holder),
            )
            return renewed.rowcount == 1

    def release(self, stream_id: str, holder: str) -> None:
        """End a lease, so that another watcher can claim the stream."""
        with self.write() as connection:
            connection.execute(
                "update streams set lease = 0 where id = ? and holder = ?", (stream_id, holder)
            )

    def publish_scores(
        self,
        stream_id: str,
        holder: str,
        scores: LiveScores,
        delay: float,
        scored_at: float | None = None,
    ) -> None:
        """Store new scores and append their event, if the watcher still holds the stream.

        Args:
            stream_id: id of the stream.
            holder: the watcher.
            scores: new scores, at least one.
            delay: seconds from the arrival of the frames to their scores.
            scored_at: when the newest frame arrived, in seconds since 1970; None for `delay` ago.
        """
        if scored_at is None:
            scored_at = time.time() - delay
        with self.write(durable=False) as connection:
            updated = connection.execute(
                "update streams set seconds = ?, score = ?, delay = ?, scored_at = ? "
                "where id = ? and holder = ?",
                (
                    scores.times[-1],
                    scores.scores[-1],
                    round(delay, 3),
                    scored_at,
                    stream_id,
                    holder,
                ),
            )
            if updated.rowcount == 1:
                append_stream_event(connection, stream_id, "scores", scores.model_dump_json())

    def publish_notice(self, stream_id: str, holder: str, notice: LiveNotice) -> None:
        """Store a notice and append its event, if the watcher still holds the stream.

        One about the domain stays beside the newest one about the source.
        """
        is_domain = notice.kind == "domain"
        text = None if is_domain else notice.text
        domain = (notice.text if notice.outside else "") if is_domain else None
        state = STATE_OF_NOTICE.get(notice.kind)
        with self.write(durable=False) as connection:
            updated = connection.execute(
                "update streams set notice = coalesce(?, notice), domain = coalesce(?, domain), "
                "dropped = dropped + ?, state = coalesce(?, state) where id = ? and holder = ?",
                (text, domain, notice.count, state, stream_id, holder),
            )
            if updated.rowcount == 1:
                append_stream_event(connection, stream_id, "notice", notice.model_dump_json())

    def publish_alert(
        self,
        stream_id: str,
        holder: str,
        alert: LiveAlert,
        webhook: str | None = None,
        frame: bytes | None = None,
        began_at: float | None = None,
    ) -> None:
        """Store an alert or its new state, if the watcher still holds the stream.

        Args:
            stream_id: id of the stream.
            holder: the watcher.
            alert: the alert.
            webhook: URL that receives the alert, except when it merely lasts.
            frame: JPEG of a new peak.
            began_at: when the frame at its start arrived, in seconds since 1970; None for now.
        """
        with self.write() as connection:
            if not _is_holder(connection, stream_id, holder):
                return
            if alert.state == "began":
                increment_counter(connection, "alerts")
                connection.execute(
                    "update streams set num_alerts = ? where id = ?", (alert.number, stream_id)
                )
            publish_alert(connection, stream_id, alert, webhook, began_at)
            if frame is not None:
                store_frame(connection, stream_id, alert.number, frame)

    def store_frame(self, stream_id: str, holder: str, alert_number: int, jpeg: bytes) -> bool:
        """Store the frame of an alert's peak, if the watcher still holds the stream.

        Args:
            stream_id: id of the stream.
            holder: the watcher.
            alert_number: number of the alert.
            jpeg: the frame.

        Returns:
            False if the frame was not stored; the alert may not be published yet.
        """
        with self.write(durable=False) as connection:
            return _is_holder(connection, stream_id, holder) and store_frame(
                connection, stream_id, alert_number, jpeg
            )

    def read_frame(self, stream_id: str, alert_number: int) -> bytes | None:
        """Return the frame of an alert's peak as JPEG; None if there is none."""
        with self.read() as connection:
            return read_frame(connection, stream_id, alert_number)

    def end(self, stream_id: str, holder: str) -> None:
        """Mark a stream as ended, and end its alerts, if the watcher still holds it.

        Its source is deleted, with its password.
        """
        with self.write() as connection:
            row = connection.execute(
                f"update streams set state = 'ended', finished = ?, holder = null, {FORGET_SOURCE} "
                "where id = ? and holder = ? returning options",
                (time.time(), stream_id, holder),
            ).fetchone()
            if row is not None:
                options = StreamOptions.model_validate_json(row["options"])
                end_alerts(connection, stream_id, options.webhook)
                append_stream_event(connection, stream_id, "ended", "{}")
        if row is not None:
            self.erase_deleted()

    def status(self, stream_id: str, alerts_before: int | None = None) -> StreamStatus | None:
        """Return the status of a stream with its newest alerts.

        Args:
            stream_id: id of the stream.
            alerts_before: only alerts with a smaller number; None for the newest ones.

        Returns:
            None if the stream does not exist.
        """
        with self.read() as connection:
            row = connection.execute("select * from streams where id = ?", (stream_id,)).fetchone()
            return None if row is None else _to_status(connection, row, MAX_ALERTS, alerts_before)

    def list_page(self, limit: int, offset: int) -> tuple[list[StreamStatus], int]:
        """Return a page of streams with a few alerts of each.

        Args:
            limit: size of the page.
            offset: number of newer streams to skip.

        Returns:
            The page, newest first, and the number of all streams.
        """
        with self.read() as connection:
            (total,) = connection.execute("select count(*) from streams").fetchone()
            rows = connection.execute(
                "select * from streams order by created desc, id limit ? offset ?",
                (limit, offset),
            ).fetchall()
            return [_to_status(connection, row, MAX_LISTED_ALERTS) for row in rows], int(total)

    def read_alert(self, stream_id: str, alert_number: int) -> AlertStatus | None:
        """Return an alert of a stream; None if it does not exist."""
        with self.read() as connection:
            return read_alert(connection, stream_id, alert_number)

    def set_triage(self, stream_id: str, alert_number: int, triage: Triage) -> bool:
        """Store a person's triage of an alert; False if the alert does not exist."""
        with self.write() as connection:
            return set_triage(connection, stream_id, alert_number, triage)

    def delete(self, stream_id: str) -> bool:
        """Delete a stream and its alerts, which stops its watcher.

        Returns:
            False if the stream does not exist.
        """
        with self.write() as connection:
            deleted = connection.execute("delete from streams where id = ?", (stream_id,))
            connection.execute("delete from alerts where stream_id = ?", (stream_id,))
            connection.execute("delete from events where subject_id = ?", (stream_id,))
        self.erase_deleted()
        return deleted.rowcount == 1

    def delete_older(self, hours: float) -> None:
        """Delete streams that ended, and ended alerts that began, more than some hours ago."""
        before = time.time() - hours * 3600
        with self.read() as connection:
            rows = connection.execute(
                "select id from streams where finished < ?", (before,)
            ).fetchall()
        for row in rows:
            self.delete(row["id"])
        with self.write() as connection:
            delete_alerts_before(connection, before)


def _num_watched(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("select count(*) from streams where state != 'ended'").fetchone()
    return int(count)


def _is_holder(connection: sqlite3.Connection, stream_id: str, holder: str) -> bool:
    row = connection.execute(
        "select 1 from streams where id = ? and holder = ?", (stream_id, holder)
    ).fetchone()
    return row is not None


def _to_status(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    max_alerts: int,
    alerts_before: int | None = None,
) -> StreamStatus:
    num_alerts, untriaged = count_alerts(connection, row["id"])
    columns = ("id", "name", "state", "created", "finished", "seconds", "delay", "score",
               "dropped", "notice", "threshold", "domain", "scored_at")  # fmt: skip
    options = StreamOptions.model_validate_json(row["options"])
    return StreamStatus(
        **{column: row[column] for column in columns},
        classes=json.loads(row["classes"]),
        untrained=list(options.categories),
        keep_hours=options.keep_hours or 0,
        untriaged=untriaged,
        num_alerts=num_alerts,
        alerts=read_alerts(connection, row["id"], max_alerts, alerts_before),
    )
