"""The queue of analyses: submitted videos, their leases, and their results.

An analysis is on the disk before the client gets its id. A worker holds an analysis by a lease that
it renews. The lease of a worker that crashed expires, and another worker starts the analysis again.
Only the holder of the lease may write the result, so there is exactly one. Every claim counts as an
attempt; a worker that could not write to the file meanwhile takes its own back.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from exvad.results import Analysis
from exvad.serving.queue.database import append_event, increment_counter, is_full_disk
from exvad.serving.queue.leased import LeasedQueue, QueueFullError
from exvad.serving.queue.webhooks import add_webhook
from exvad.serving.schemas.analyses import AnalysisOptions, AnalysisState, AnalysisStatus, Triage
from exvad.serving.schemas.operations import ServedModel
from exvad.serving.schemas.reviews import Review

MAX_ATTEMPTS = 3
CRASHED_ERROR = f"processing crashed the worker {MAX_ATTEMPTS} times; the file was given up"
_STATUS_COLUMNS = (
    "id, name, state, progress, created, started, finished, score, label, events, triage, "
    "error, timings, domain"
)


class Claim(NamedTuple):
    """An analysis that a worker claimed.

    Args:
        analysis_id: id of the analysis.
        name: file name of the video.
        path: the video.
        uploaded: whether the file is the server's own copy.
        options: how the video is analyzed.
    """

    analysis_id: str
    name: str
    path: Path
    uploaded: bool
    options: AnalysisOptions


class AnalysisQueue(LeasedQueue):
    """The queue of analyses; see `LeasedQueue` for its arguments."""

    def __init__(self, path: Path, lease_seconds: float = 30) -> None:
        super().__init__(path, lease_seconds)
        self._claimed_at: dict[str, float] = {}  # holder → when, by the monotonic clock

    def add(
        self,
        name: str,
        path: Path,
        uploaded: bool,
        options: AnalysisOptions | None = None,
        max_waiting: int | None = None,
    ) -> str:
        """Add a video and return the id of its analysis.

        Args:
            name: file name to show.
            path: the video.
            uploaded: whether the file is the server's own copy, deleted with the analysis.
            options: how the video is analyzed; None for the defaults.
            max_waiting: largest number of waiting analyses; None for no limit.

        Raises:
            QueueFullError: `max_waiting` analyses wait already.
        """
        analysis_id, options = uuid.uuid4().hex, options or AnalysisOptions()
        with self.write() as connection:
            if max_waiting is not None and _num_waiting(connection) >= max_waiting:
                raise QueueFullError
            connection.execute(
                "insert into analyses (id, name, path, uploaded, state, created, options) "
                "values (?, ?, ?, ?, 'queued', ?, ?)",
                (analysis_id, name, str(path), uploaded, time.time(), options.model_dump_json()),
            )
            increment_counter(connection, "accepted")
        return analysis_id

    def count_refusal(self) -> None:
        """Count an analysis that was refused because the queue was full."""
        with self.write() as connection:
            increment_counter(connection, "refused")

    def heartbeat(self, holder: str, model: ServedModel) -> None:
        """Record that a worker is alive, and the model it uses."""
        with self.write(durable=False) as connection:
            connection.execute(
                "insert into workers values (?, ?, ?) on conflict (holder) "
                "do update set model = excluded.model, last_heartbeat = excluded.last_heartbeat",
                (holder, model.model_dump_json(), time.time()),
            )

    def list_models(self) -> list[ServedModel]:
        """Return the model of each worker whose last heartbeat is within a lease."""
        oldest = time.time() - self.lease_seconds
        with self.write() as connection:
            connection.execute("delete from workers where last_heartbeat < ?", (oldest,))
            rows = connection.execute("select model from workers order by holder").fetchall()
        return [ServedModel.model_validate_json(row["model"]) for row in rows]

    def num_waiting(self) -> int:
        """Return the number of analyses that are queued or running."""
        with self.read() as connection:
            return _num_waiting(connection)

    def claim(self, holder: str) -> Claim | None:
        """Claim the oldest analysis that no worker holds; None if there is none."""
        now, expired = time.time(), self.expired_before()
        with self.write() as connection:
            given_up = connection.execute(
                "update analyses set state = 'failed', finished = ?, holder = null, error = ? "
                "where state = 'running' and lease < ? and attempts >= ? returning id",
                (now, CRASHED_ERROR, expired, MAX_ATTEMPTS),
            ).fetchall()
            for row in given_up:
                _record_end(connection, row["id"], "failed", CRASHED_ERROR)
            row = connection.execute(
                "update analyses set state = 'running', holder = ?, lease = ?, started = ?, "
                "progress = 0, attempts = attempts + 1 where id = (select id from analyses "
                "where state = 'queued' or (state = 'running' and lease < ?) "
                "order by created limit 1) returning id, name, path, uploaded, options",
                (holder, now + self.lease_seconds, now, expired),
            ).fetchone()
            if row is not None:
                connection.execute("delete from events where subject_id = ?", (row["id"],))
        if row is None:
            return None
        self._claimed_at[holder] = time.monotonic()
        options = AnalysisOptions.model_validate_json(row["options"])
        return Claim(row["id"], row["name"], Path(row["path"]), bool(row["uploaded"]), options)

    def renew(self, analysis_id: str, holder: str, progress: float | None = None) -> bool:
        """Renew a lease, and store the progress if it is given.

        Args:
            analysis_id: id of the analysis.
            holder: the worker.
            progress: share of the video that has been processed, 0 to 1.

        Returns:
            False if the worker does not hold the analysis any more.
        """
        with self.write(durable=False) as connection:
            renewed = connection.execute(
                "update analyses set lease = ?, progress = coalesce(?, progress) "
                "where id = ? and holder = ? and state = 'running'",
                (time.time() + self.lease_seconds, progress, analysis_id, holder),
            )
            return renewed.rowcount == 1

    def release(self, analysis_id: str, holder: str) -> None:
        """Return an analysis to the queue, because the worker can't compute it now."""
        with self.write() as connection:
            connection.execute(
                "update analyses set state = 'queued', holder = null, lease = null, progress = 0, "
                "attempts = attempts - 1 where id = ? and holder = ? and state = 'running'",
                (analysis_id, holder),
            )

    def take_back_attempt(self, analysis_id: str, holder: str) -> None:
        """Take back the attempt of a worker that lost its lease because it could not write.

        A worker that did not renew its lease for another reason, such as a video that keeps the
        whole process busy, has used its attempt: else such a video would go round for ever.

        Args:
            analysis_id: id of the analysis.
            holder: the worker.
        """
        claimed_at = self._claimed_at.pop(holder, math.inf)
        if self._failed_at < claimed_at:
            return
        with self.write() as connection:
            connection.execute(
                "update analyses set attempts = attempts - 1 "
                "where id = ? and holder != ? and state = 'running' and attempts > 1",
                (analysis_id, holder),
            )

    def publish(self, analysis_id: str, holder: str, kind: str, data: Mapping[str, object]) -> bool:
        """Append an event for the clients that follow an analysis.

        Args:
            analysis_id: id of the analysis.
            holder: the worker.
            kind: such as `progress`.
            data: what is sent as JSON.

        Returns:
            False if the worker does not hold the analysis any more; no event is appended then.
        """
        with self.write(durable=False) as connection:
            held = connection.execute(
                "select 1 from analyses where id = ? and holder = ? and state = 'running'",
                (analysis_id, holder),
            ).fetchone()
            if held is not None:
                append_event(connection, analysis_id, kind, json.dumps(data))
            return held is not None

    def finish(
        self,
        analysis_id: str,
        holder: str,
        outcome: Analysis | str,
        timings: Mapping[str, float] | None = None,
    ) -> bool:
        """Store the outcome of an analysis.

        Args:
            analysis_id: id of the analysis.
            holder: the worker.
            outcome: the result, or the error of an analysis that failed.
            timings: seconds of each stage.

        Returns:
            False if the worker does not hold the analysis any more; nothing is stored then.
        """
        error = outcome if isinstance(outcome, str) else None
        result = None if isinstance(outcome, str) else outcome
        state: AnalysisState = "failed" if result is None else "done"
        with self.write() as connection:
            finished = connection.execute(
                "update analyses set state = ?, finished = ?, holder = null, progress = 1, "
                "score = ?, label = ?, events = ?, domain = ?, error = ?, result = ?, timings = ? "
                "where id = ? and holder = ? and state = 'running'",
                (
                    state,
                    time.time(),
                    None if result is None else result.anomaly_score,
                    None if result is None else result.label,
                    None if result is None else len(result.events),
                    "" if result is None else result.domain_notice,
                    error,
                    None if result is None else result.model_dump_json(),
                    json.dumps(dict(timings)) if timings else None,
                    analysis_id,
                    holder,
                ),
            )
            if finished.rowcount == 1:
                _record_end(connection, analysis_id, state, error)
            return finished.rowcount == 1

    def status(self, analysis_id: str, with_result: bool = True) -> AnalysisStatus | None:
        """Return the status of an analysis; None if it does not exist."""
        columns = f"{_STATUS_COLUMNS}, result, review" if with_result else _STATUS_COLUMNS
        with self.read() as connection:
            row = connection.execute(
                f"select {columns} from analyses where id = ?", (analysis_id,)
            ).fetchone()
        return None if row is None else _to_status(row)

    def list_page(
        self, state: AnalysisState | None, limit: int, offset: int
    ) -> tuple[list[AnalysisStatus], int]:
        """Return a page of analyses without their results.

        Args:
            state: only analyses in this state; None for all.
            limit: size of the page.
            offset: number of newer analyses to skip.

        Returns:
            The page, newest first, and the number of all analyses in this state.
        """
        where, values = ("where state = ?", [state]) if state else ("", [])
        with self.read() as connection:
            (total,) = connection.execute(
                f"select count(*) from analyses {where}", values
            ).fetchone()
            rows = connection.execute(
                f"select {_STATUS_COLUMNS} from analyses {where} "
                "order by created desc, id limit ? offset ?",
                [*values, limit, offset],
            ).fetchall()
        return [_to_status(row) for row in rows], int(total)

    def video_path(self, analysis_id: str) -> Path | None:
        """Return the video of an analysis; None if the analysis does not exist."""
        with self.read() as connection:
            row = connection.execute(
                "select path from analyses where id = ?", (analysis_id,)
            ).fetchone()
        return None if row is None else Path(row["path"])

    def has_video(self, path: Path) -> bool:
        """Whether a file is the video of an analysis."""
        with self.read() as connection:
            row = connection.execute(
                "select 1 from analyses where path = ?", (str(path),)
            ).fetchone()
        return row is not None

    def is_upload(self, analysis_id: str) -> bool:
        """Whether the video of an analysis is the server's own copy."""
        with self.read() as connection:
            row = connection.execute(
                "select uploaded from analyses where id = ?", (analysis_id,)
            ).fetchone()
        return row is not None and bool(row["uploaded"])

    def set_triage(self, analysis_id: str, triage: Triage) -> bool:
        """Store a person's triage of an analysis; False if the analysis does not exist."""
        with self.write() as connection:
            updated = connection.execute(
                "update analyses set triage = ? where id = ?", (triage, analysis_id)
            )
            return updated.rowcount == 1

    def delete(self, analysis_id: str) -> bool:
        """Delete an analysis and its uploaded video; False if the analysis does not exist.

        On a full disk, the video makes room for the transaction that deletes the analysis.
        """
        upload = self.video_path(analysis_id) if self.is_upload(analysis_id) else None
        try:
            is_deleted = self._delete_row(analysis_id)
        except sqlite3.OperationalError as error:
            if upload is None or not is_full_disk(error):
                raise
            upload.unlink(missing_ok=True)
            is_deleted = self._delete_row(analysis_id)
        if upload is not None:
            upload.unlink(missing_ok=True)
        return is_deleted

    def _delete_row(self, analysis_id: str) -> bool:
        with self.write() as connection:
            deleted = connection.execute("delete from analyses where id = ?", (analysis_id,))
            connection.execute("delete from events where subject_id = ?", (analysis_id,))
        return deleted.rowcount == 1

    def delete_older(self, hours: float) -> int:
        """Delete analyses that ended more than some hours ago; return their number."""
        before = time.time() - hours * 3600
        with self.write() as connection:
            rows = connection.execute(
                "select id from analyses where finished < ?", (before,)
            ).fetchall()
        return sum(self.delete(row["id"]) for row in rows)


def _num_waiting(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute(
        "select count(*) from analyses where state in ('queued', 'running')"
    ).fetchone()
    return int(count)


def _record_end(
    connection: sqlite3.Connection, analysis_id: str, state: AnalysisState, error: str | None
) -> None:
    """Count an analysis that has ended, append its last event, and add its webhook."""
    increment_counter(connection, state)
    append_event(
        connection, analysis_id, state, json.dumps({} if error is None else {"error": error})
    )
    seconds, webhook = connection.execute(
        "select finished - started, json_extract(options, '$.webhook') from analyses where id = ?",
        (analysis_id,),
    ).fetchone()
    increment_counter(connection, "seconds", seconds)
    if webhook is not None:
        add_webhook(connection, webhook, analysis_id)


def _to_status(row: sqlite3.Row) -> AnalysisStatus:
    values = dict(row)
    started, score, timings = values.pop("started"), values.pop("score"), values.pop("timings")
    result, review = values.pop("result", None), values.pop("review", None)
    ended = started is not None and values["finished"] is not None
    return AnalysisStatus(
        **values,
        seconds=round(values["finished"] - started, 3) if ended else None,
        anomaly_score=score,
        timings=None if timings is None else json.loads(timings),
        result=None if result is None else Analysis.model_validate_json(result),
        review=None if review is None else Review.model_validate_json(review),
    )
