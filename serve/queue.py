"""The queue: what was accepted, who works on it, and what came out. SQLite in WAL mode.

An accepted analysis is on the disk before the client hears of it. A worker holds its analysis by a
lease it renews; when it dies the lease runs out and another one starts anew. An answer is written
only by the holder of the lease, so there is exactly one.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exvad.results import Analysis
from serve.models import AnalysisOptions, AnalysisStatus, ServedModel, State, Triage

_VERSION = 4
_TABLES = """
create table if not exists analyses (
    id text primary key, name text not null, path text not null, uploaded integer not null,
    state text not null, progress real not null default 0, created real not null, started real,
    finished real, holder text, lease real, attempts integer not null default 0,
    score real, label text, triage text not null default 'open', error text, result text,
    timings text,
    options text not null default '{}'
);
create index if not exists analyses_by_state on analyses (state, created);
create table if not exists events (
    number integer primary key autoincrement, id text not null, kind text not null,
    data text not null
);
create index if not exists events_by_analysis on events (id, number);
create table if not exists hooks (
    id text primary key, url text not null, due real not null, attempts integer not null default 0
);
create table if not exists counts (name text primary key, value real not null);
create table if not exists workers (holder text primary key, about text not null, seen real);
"""
_SHOWN = (
    "id, name, state, progress, created, started, finished, score, label, triage, error, timings"
)
MOST_ATTEMPTS = 3
HOOK_SECONDS = 5  # until a webhook that failed is tried again; twice as long each time


class Claim(NamedTuple):
    """Work that was taken.

    Args:
        number: id of the analysis.
        name: file name of the video.
        path: the video.
        options: what was asked for besides.
    """

    number: str
    name: str
    path: Path
    options: AnalysisOptions


class Hook(NamedTuple):
    """A webhook that is due.

    Args:
        number: id of the analysis.
        url: where it goes.
        attempts: how often it was tried, this time included.
    """

    number: str
    url: str
    attempts: int


class Changes:
    """Tells whether anything was written to the file; asking costs next to nothing.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, timeout=30, check_same_thread=False)
        self._version = -1

    def seen(self) -> bool:
        """Tell whether another connection has written since the last time, or ever."""
        (version,) = self._base.execute("pragma data_version").fetchone()
        before, self._version = self._version, int(version)
        return self._version != before

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()


class Queue:
    """Analyses in a SQLite file; every process opens its own.

    Args:
        path: the file; made if it is not there.
        lease_seconds: how long a worker may be silent.

    Raises:
        ValueError: the file is of another version.
    """

    def __init__(self, path: Path, lease_seconds: float = 30) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lease_seconds = lease_seconds
        with self._connect() as base:
            (version,) = base.execute("pragma user_version").fetchone()
            known = base.execute("select count(*) from sqlite_master").fetchone()[0]
            if known and version != _VERSION:
                raise ValueError(
                    f"{path} was written by another version of exvad: name another spool folder"
                )
            base.execute("commit")
            base.executescript(
                f"pragma journal_mode = wal; begin immediate; pragma user_version = {_VERSION};"
                f"{_TABLES} commit;"
            )

    @contextmanager
    def _connect(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Open a transaction; one that is not durable may be lost with the machine's power."""
        base = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        base.row_factory = sqlite3.Row
        try:
            base.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            base.execute("begin immediate")
            yield base
            if base.in_transaction:
                base.execute("commit")
        finally:
            base.close()

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Open the file for reading, beside whoever writes."""
        base = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        base.row_factory = sqlite3.Row
        try:
            yield base
        finally:
            base.close()

    def changes(self) -> Changes:
        """Return who can tell that something was written."""
        return Changes(self.path)

    def add(
        self, name: str, path: Path, uploaded: bool, options: AnalysisOptions | None = None
    ) -> str:
        """Accept a video and return its analysis' id."""
        number, wanted = uuid.uuid4().hex, options or AnalysisOptions()
        with self._connect() as base:
            base.execute(
                "insert into analyses (id, name, path, uploaded, state, created, options) "
                "values (?, ?, ?, ?, 'queued', ?, ?)",
                (number, name, str(path), uploaded, time.time(), wanted.model_dump_json()),
            )
            _count(base, "accepted")
        return number

    def refused(self) -> None:
        """Count an analysis that was not accepted because too many wait."""
        with self._connect() as base:
            _count(base, "refused")

    def counts(self) -> dict[str, float]:
        """Return what was counted: accepted, refused, done, failed, and seconds of work."""
        with self._read() as base:
            return {row[0]: row[1] for row in base.execute("select name, value from counts")}

    def greet(self, holder: str, about: ServedModel) -> None:
        """Say that a worker is there, and with which model."""
        with self._connect(durable=False) as base:
            base.execute(
                "insert into workers values (?, ?, ?) on conflict (holder) "
                "do update set about = excluded.about, seen = excluded.seen",
                (holder, about.model_dump_json(), time.time()),
            )

    def workers(self) -> list[ServedModel]:
        """Return the workers that were heard of within a lease."""
        with self._connect() as base:
            base.execute("delete from workers where seen < ?", (time.time() - self.lease_seconds,))
            rows = base.execute("select about from workers order by holder").fetchall()
        return [ServedModel.model_validate_json(row["about"]) for row in rows]

    def waiting(self) -> int:
        """Return how many analyses are neither done nor failed."""
        with self._read() as base:
            row = base.execute(
                "select count(*) from analyses where state in ('queued', 'running')"
            ).fetchone()
        return int(row[0])

    def claim(self, holder: str) -> Claim | None:
        """Take the oldest analysis that nobody works on; None if there is none."""
        now = time.time()
        with self._connect() as base:
            base.execute(
                "update analyses set state = 'failed', finished = ?, holder = null, "
                "error = 'the server died of it several times' "
                "where state = 'running' and lease < ? and attempts >= ?",
                (now, now, MOST_ATTEMPTS),
            )
            row = base.execute(
                "update analyses set state = 'running', holder = ?, lease = ?, started = ?, "
                "progress = 0, attempts = attempts + 1 where id = (select id from analyses "
                "where state = 'queued' or (state = 'running' and lease < ?) "
                "order by created limit 1) returning id, name, path, options",
                (holder, now + self.lease_seconds, now, now),
            ).fetchone()
            if row is not None:
                base.execute("delete from events where id = ?", (row["id"],))
        if row is None:
            return None
        options = AnalysisOptions.model_validate_json(row["options"])
        return Claim(row["id"], row["name"], Path(row["path"]), options)

    def renew(self, number: str, holder: str, progress: float | None = None) -> bool:
        """Say that the work goes on; False if it is no longer the holder's."""
        with self._connect(durable=False) as base:
            found = base.execute(
                "update analyses set lease = ?, progress = coalesce(?, progress) "
                "where id = ? and holder = ? and state = 'running'",
                (time.time() + self.lease_seconds, progress, number, holder),
            )
            return found.rowcount == 1

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
        with self._connect() as base:
            found = base.execute(
                "update analyses set state = ?, finished = ?, holder = null, progress = 1, "
                "score = ?, label = ?, error = ?, result = ?, timings = ? "
                "where id = ? and holder = ? and state = 'running'",
                (
                    state,
                    time.time(),
                    None if right is None else right.anomaly_score,
                    None if right is None else right.label,
                    outcome if right is None else None,
                    None if right is None else right.model_dump_json(),
                    json.dumps(dict(timings)) if timings else None,
                    number,
                    holder,
                ),
            )
            if found.rowcount == 1:
                _count(base, state)
                (seconds,) = base.execute(
                    "select finished - started from analyses where id = ?", (number,)
                ).fetchone()
                _count(base, "seconds", seconds)
                base.execute(
                    "insert into hooks (id, url, due) "
                    "select id, json_extract(options, '$.webhook') as url, ? from analyses "
                    "where id = ? and json_extract(options, '$.webhook') is not null",
                    (time.time(), number),
                )
            return found.rowcount == 1

    def due_hook(self) -> Hook | None:
        """Take the webhook that has waited longest; it is due again later unless `hook_sent`."""
        now = time.time()
        with self._connect() as base:
            row = base.execute(
                "update hooks set attempts = attempts + 1, due = ? + ? * (1 << attempts) "
                "where id = (select id from hooks where due <= ? order by due limit 1) "
                "returning id, url, attempts",
                (now, HOOK_SECONDS, now),
            ).fetchone()
        return None if row is None else Hook(row["id"], row["url"], row["attempts"])

    def hook_sent(self, number: str) -> None:
        """Forget a webhook: it has arrived, or never will."""
        with self._connect() as base:
            base.execute("delete from hooks where id = ?", (number,))

    def say(self, number: str, kind: str, data: dict[str, Any]) -> None:
        """Note an event for those who follow an analysis."""
        with self._connect(durable=False) as base:
            base.execute(
                "insert into events (id, kind, data) values (?, ?, ?)",
                (number, kind, json.dumps(data)),
            )

    def events(self, number: str, after: int = 0) -> list[tuple[int, str, str]]:
        """Return the events of an analysis after a given one: number, kind and JSON."""
        with self._read() as base:
            rows = base.execute(
                "select number, kind, data from events where id = ? and number > ? order by number",
                (number, after),
            ).fetchall()
        return [tuple(row) for row in rows]

    def status(self, number: str, with_result: bool = True) -> AnalysisStatus | None:
        """Return where an analysis stands, or None if there is none."""
        columns = f"{_SHOWN}, result" if with_result else _SHOWN
        with self._read() as base:
            row = base.execute(f"select {columns} from analyses where id = ?", (number,)).fetchone()
        return None if row is None else _status(row)

    def listing(
        self, state: State | None, limit: int, offset: int
    ) -> tuple[list[AnalysisStatus], int]:
        """Return a page of analyses, newest first, and how many there are."""
        where, values = ("where state = ?", [state]) if state else ("", [])
        with self._read() as base:
            total = base.execute(f"select count(*) from analyses {where}", values).fetchone()[0]
            rows = base.execute(
                f"select {_SHOWN} from analyses {where} order by created desc limit ? offset ?",
                [*values, limit, offset],
            ).fetchall()
        return [_status(row) for row in rows], int(total)

    def video(self, number: str) -> Path | None:
        """Return the video of an analysis."""
        with self._read() as base:
            row = base.execute("select path from analyses where id = ?", (number,)).fetchone()
        return None if row is None else Path(row["path"])

    def triage(self, number: str, triage: Triage) -> bool:
        """Keep what a person made of it; False if there is no such analysis."""
        with self._connect() as base:
            found = base.execute("update analyses set triage = ? where id = ?", (triage, number))
            return found.rowcount == 1

    def remove(self, number: str) -> bool:
        """Forget an analysis and its uploaded video; False if there is none."""
        with self._connect() as base:
            row = base.execute(
                "delete from analyses where id = ? returning path, uploaded", (number,)
            ).fetchone()
            base.execute("delete from events where id = ?", (number,))
        if row is not None and row["uploaded"]:
            Path(row["path"]).unlink(missing_ok=True)
        return row is not None

    def forget_older(self, hours: float) -> int:
        """Forget what ended longer ago; return how many analyses that were."""
        with self._connect() as base:
            rows = base.execute(
                "select id from analyses where finished < ?", (time.time() - hours * 3600,)
            ).fetchall()
        return sum(self.remove(row["id"]) for row in rows)


def _count(base: sqlite3.Connection, name: str, amount: float = 1) -> None:
    base.execute(
        "insert into counts values (?, ?) on conflict (name) do update set value = value + ?",
        (name, amount, amount),
    )


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
