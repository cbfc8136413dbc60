"""The queue: what was accepted, who works on it, and what came out.

An accepted analysis is on the disk before the client hears of it. A worker holds its analysis by a
lease it renews; when it dies the lease runs out and another one starts anew. An answer is written
only by the holder of the lease, so there is exactly one.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from exvad.results import Analysis
from exvad.serving.queue.database import Database, count, say
from exvad.serving.queue.webhooks import add_hook
from exvad.serving.schemas.analyses import (
    AnalysisOptions,
    AnalysisStatus,
    ServedModel,
    State,
    Triage,
)

_SHOWN = (
    "id, name, state, progress, created, started, finished, score, label, events, triage, "
    "error, timings"
)
MOST_ATTEMPTS = 3
DEADLY = "the server died of it several times"


class FullError(Exception):
    """As many analyses wait as may."""


class Claim(NamedTuple):
    """Work that was taken.

    Args:
        number: id of the analysis.
        name: file name of the video.
        path: the video.
        uploaded: whether the file is the server's own copy.
        options: what was asked for besides.
    """

    number: str
    name: str
    path: Path
    uploaded: bool
    options: AnalysisOptions


class Queue(Database):
    """Analyses in a SQLite file; every process opens its own.

    Args:
        path: the file; made if it is not there.
        lease_seconds: how long a worker may be silent.

    Raises:
        ValueError: the file is of another version.
    """

    def __init__(self, path: Path, lease_seconds: float = 30) -> None:
        super().__init__(path)
        self.lease_seconds = lease_seconds

    def add(
        self,
        name: str,
        path: Path,
        uploaded: bool,
        options: AnalysisOptions | None = None,
        most: int | None = None,
    ) -> str:
        """Accept a video and return its analysis' id.

        Raises:
            FullError: `most` analyses are waiting already.
        """
        number, wanted = uuid.uuid4().hex, options or AnalysisOptions()
        with self.write() as base:
            if most is not None and _waiting(base) >= most:
                raise FullError
            base.execute(
                "insert into analyses (id, name, path, uploaded, state, created, options) "
                "values (?, ?, ?, ?, 'queued', ?, ?)",
                (number, name, str(path), uploaded, time.time(), wanted.model_dump_json()),
            )
            count(base, "accepted")
        return number

    def refused(self) -> None:
        """Count an analysis that was not accepted because too many wait."""
        with self.write() as base:
            count(base, "refused")

    def greet(self, holder: str, about: ServedModel) -> None:
        """Say that a worker is there, and with which model."""
        with self.write(durable=False) as base:
            base.execute(
                "insert into workers values (?, ?, ?) on conflict (holder) "
                "do update set about = excluded.about, seen = excluded.seen",
                (holder, about.model_dump_json(), time.time()),
            )

    def workers(self) -> list[ServedModel]:
        """Return the workers that were heard of within a lease."""
        with self.write() as base:
            base.execute("delete from workers where seen < ?", (time.time() - self.lease_seconds,))
            rows = base.execute("select about from workers order by holder").fetchall()
        return [ServedModel.model_validate_json(row["about"]) for row in rows]

    def waiting(self) -> int:
        """Return how many analyses are neither done nor failed."""
        with self.read() as base:
            return _waiting(base)

    def claim(self, holder: str) -> Claim | None:
        """Take the oldest analysis that nobody works on; None if there is none."""
        now = time.time()
        with self.write() as base:
            given_up = base.execute(
                "update analyses set state = 'failed', finished = ?, holder = null, error = ? "
                "where state = 'running' and lease < ? and attempts >= ? returning id",
                (now, DEADLY, now, MOST_ATTEMPTS),
            ).fetchall()
            for each in given_up:
                _ended(base, each["id"], "failed", DEADLY)
            row = base.execute(
                "update analyses set state = 'running', holder = ?, lease = ?, started = ?, "
                "progress = 0, attempts = attempts + 1 where id = (select id from analyses "
                "where state = 'queued' or (state = 'running' and lease < ?) "
                "order by created limit 1) returning id, name, path, uploaded, options",
                (holder, now + self.lease_seconds, now, now),
            ).fetchone()
            if row is not None:
                base.execute("delete from events where id = ?", (row["id"],))
        if row is None:
            return None
        options = AnalysisOptions.model_validate_json(row["options"])
        return Claim(row["id"], row["name"], Path(row["path"]), bool(row["uploaded"]), options)

    def renew(self, number: str, holder: str, progress: float | None = None) -> bool:
        """Say that the work goes on; False if it is no longer the holder's."""
        with self.write(durable=False) as base:
            found = base.execute(
                "update analyses set lease = ?, progress = coalesce(?, progress) "
                "where id = ? and holder = ? and state = 'running'",
                (time.time() + self.lease_seconds, progress, number, holder),
            )
            return found.rowcount == 1

    def tell(self, number: str, holder: str, kind: str, data: Mapping[str, object]) -> bool:
        """Note an event for those who follow; False if the work is no longer the holder's."""
        with self.write(durable=False) as base:
            held = base.execute(
                "select 1 from analyses where id = ? and holder = ? and state = 'running'",
                (number, holder),
            ).fetchone()
            if held is not None:
                say(base, number, kind, json.dumps(data))
            return held is not None

    def finish(
        self,
        number: str,
        holder: str,
        outcome: Analysis | str,
        timings: Mapping[str, float] | None = None,
    ) -> bool:
        """Write an answer, or why there is none; False if it is no longer the holder's."""
        right = outcome if isinstance(outcome, Analysis) else None
        state: State = "failed" if right is None else "done"
        with self.write() as base:
            found = base.execute(
                "update analyses set state = ?, finished = ?, holder = null, progress = 1, "
                "score = ?, label = ?, events = ?, error = ?, result = ?, timings = ? "
                "where id = ? and holder = ? and state = 'running'",
                (
                    state,
                    time.time(),
                    None if right is None else right.anomaly_score,
                    None if right is None else right.label,
                    None if right is None else len(right.events),
                    outcome if right is None else None,
                    None if right is None else right.model_dump_json(),
                    json.dumps(dict(timings)) if timings else None,
                    number,
                    holder,
                ),
            )
            if found.rowcount == 1:
                _ended(base, number, state, outcome if isinstance(outcome, str) else None)
            return found.rowcount == 1

    def status(self, number: str, with_result: bool = True) -> AnalysisStatus | None:
        """Return where an analysis stands, or None if there is none."""
        columns = f"{_SHOWN}, result" if with_result else _SHOWN
        with self.read() as base:
            row = base.execute(f"select {columns} from analyses where id = ?", (number,)).fetchone()
        return None if row is None else _status(row)

    def listing(
        self, state: State | None, limit: int, offset: int
    ) -> tuple[list[AnalysisStatus], int]:
        """Return a page of analyses, newest first, and how many there are."""
        where, values = ("where state = ?", [state]) if state else ("", [])
        with self.read() as base:
            total = base.execute(f"select count(*) from analyses {where}", values).fetchone()[0]
            rows = base.execute(
                f"select {_SHOWN} from analyses {where} order by created desc limit ? offset ?",
                [*values, limit, offset],
            ).fetchall()
        return [_status(row) for row in rows], int(total)

    def video(self, number: str) -> Path | None:
        """Return the video of an analysis."""
        with self.read() as base:
            row = base.execute("select path from analyses where id = ?", (number,)).fetchone()
        return None if row is None else Path(row["path"])

    def knows(self, path: Path) -> bool:
        """Tell whether a file is the video of an analysis."""
        with self.read() as base:
            found = base.execute("select 1 from analyses where path = ?", (str(path),)).fetchone()
        return found is not None

    def is_upload(self, number: str) -> bool:
        """Tell whether the video of an analysis is the server's own copy."""
        with self.read() as base:
            row = base.execute("select uploaded from analyses where id = ?", (number,)).fetchone()
        return row is not None and bool(row["uploaded"])

    def triage(self, number: str, triage: Triage) -> bool:
        """Keep what a person made of it; False if there is no such analysis."""
        with self.write() as base:
            found = base.execute("update analyses set triage = ? where id = ?", (triage, number))
            return found.rowcount == 1

    def remove(self, number: str) -> bool:
        """Forget an analysis and its uploaded video; False if there is none."""
        with self.write() as base:
            row = base.execute(
                "delete from analyses where id = ? returning path, uploaded", (number,)
            ).fetchone()
            base.execute("delete from events where id = ?", (number,))
        if row is not None and row["uploaded"]:
            Path(row["path"]).unlink(missing_ok=True)
        return row is not None

    def forget_older(self, hours: float) -> int:
        """Forget what ended longer ago; return how many analyses that were."""
        with self.write() as base:
            rows = base.execute(
                "select id from analyses where finished < ?", (time.time() - hours * 3600,)
            ).fetchall()
        return sum(self.remove(row["id"]) for row in rows)


def _waiting(base: sqlite3.Connection) -> int:
    (found,) = base.execute(
        "select count(*) from analyses where state in ('queued', 'running')"
    ).fetchone()
    return int(found)


def _ended(base: sqlite3.Connection, number: str, state: State, error: str | None) -> None:
    """Count an analysis that has ended, tell who follows it, and let its webhook wait."""
    count(base, state)
    say(base, number, state, json.dumps({} if error is None else {"error": error}))
    seconds, webhook = base.execute(
        "select finished - started, json_extract(options, '$.webhook') from analyses where id = ?",
        (number,),
    ).fetchone()
    count(base, "seconds", seconds)
    if webhook is not None:
        add_hook(base, webhook, analysis=number)


def _status(row: sqlite3.Row) -> AnalysisStatus:
    values = dict(row)
    started, result = values.pop("started"), values.pop("result", None)
    timings = values.pop("timings")
    seconds = None
    if values["finished"] is not None and started is not None:
        seconds = round(values["finished"] - started, 3)
    return AnalysisStatus(
        **{name: values[name] for name in values if name != "score"},
        seconds=seconds,
        timings=None if timings is None else json.loads(timings),
        anomaly_score=values["score"],
        result=None if result is None else Analysis.model_validate_json(result),
    )
