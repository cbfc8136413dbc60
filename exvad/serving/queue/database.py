"""The file behind the queue, the streams and the webhooks: SQLite in WAL mode.

Every process opens it on its own. What must outlive the machine's power is written durably, which
waits for the disk; what is only told to those who look on is not.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_VERSION = 6
_TABLES = """
create table if not exists analyses (
    id text primary key, name text not null, path text not null, uploaded integer not null,
    state text not null, progress real not null default 0, created real not null, started real,
    finished real, holder text, lease real, attempts integer not null default 0,
    score real, label text, events integer, triage text not null default 'open', error text,
    result text,
    timings text,
    options text not null default '{}'
);
create index if not exists analyses_by_state on analyses (state, created);
create table if not exists streams (
    id text primary key, name text not null, source text not null, options text not null,
    state text not null, created real not null, finished real, holder text, lease real,
    threshold real, classes text not null default '[]', seconds real, delay real, score real,
    dropped integer not null default 0, notice text, alerts integer not null default 0
);
create table if not exists alerts (
    stream text not null, number integer not null, began_at real not null, alert text not null,
    triage text not null default 'open', frame blob, primary key (stream, number)
);
create table if not exists events (
    number integer primary key autoincrement, id text not null, kind text not null,
    data text not null
);
create index if not exists events_by_id on events (id, number);
create table if not exists hooks (
    number integer primary key autoincrement, analysis text, body text, url text not null,
    receiver text not null, due real not null, attempts integer not null default 0
);
create table if not exists counts (name text primary key, value real not null);
create table if not exists workers (holder text primary key, about text not null, seen real);
"""


class Database:
    """A SQLite file; every process opens its own.

    Args:
        path: the file; made if it is not there.

    Raises:
        ValueError: the file is of another version, or no such file at all.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # SQLite waits for locks, but not for the one that changes the journal's mode.
        with path.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make()
        # While one connection is open the journal stays: opening others is quick then, and works
        # on a full disk.
        self._kept_open = sqlite3.connect(path, timeout=30, check_same_thread=False)
        self._kept_open.execute("select count(*) from counts").fetchone()

    def _make(self) -> None:
        with self.read() as base:
            try:
                (version,) = base.execute("pragma user_version").fetchone()
            except sqlite3.OperationalError:
                raise  # it may be locked, or the disk full
            except sqlite3.DatabaseError as error:
                raise ValueError(
                    f"{self.path} can't be read ({error}): move it away, or name another spool"
                ) from None
            known = base.execute("select count(*) from sqlite_master").fetchone()[0]
            if known and version != _VERSION:
                raise ValueError(
                    f"{self.path} was written by another version of exvad: "
                    "name another spool folder"
                )
            if not known:
                base.executescript(
                    "pragma journal_mode = wal; begin immediate;"
                    f"pragma user_version = {_VERSION}; {_TABLES} commit;"
                )

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Open a transaction; one that is not durable may be lost with the machine's power."""
        with self.read() as base:
            base.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            base.execute("begin immediate")
            yield base
            base.execute("commit")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
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

    def say(self, number: str, kind: str, data: dict[str, Any]) -> None:
        """Note an event for those who follow an analysis or a stream."""
        with self.write(durable=False) as base:
            say(base, number, kind, json.dumps(data))

    def events(self, number: str, after: int = 0) -> list[tuple[int, str, str]]:
        """Return the events of an analysis or stream after a given one: number, kind and JSON."""
        with self.read() as base:
            rows = base.execute(
                "select number, kind, data from events where id = ? and number > ? order by number",
                (number, after),
            ).fetchall()
        return [tuple(row) for row in rows]

    def counts(self) -> dict[str, float]:
        """Return what was counted since the file was made; see `count`."""
        with self.read() as base:
            return {row[0]: row[1] for row in base.execute("select name, value from counts")}


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

    def newest(self) -> int:
        """Return the number of the last event."""
        (number,) = self._base.execute("select coalesce(max(number), 0) from events").fetchone()
        return int(number)

    def told_of(self, after: int) -> dict[str, int]:
        """Return what events were noted about after a given one, with the last one's number."""
        rows = self._base.execute(
            "select id, max(number) from events where number > ? group by id", (after,)
        )
        return dict(rows.fetchall())

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()


def say(base: sqlite3.Connection, number: str, kind: str, data: str) -> None:
    """Note an event, as JSON, within a transaction; of what was deleted nothing is noted."""
    base.execute(
        "insert into events (id, kind, data) select ?, ?, ? "
        "where exists (select 1 from analyses where id = ?) "
        "or exists (select 1 from streams where id = ?)",
        (number, kind, data, number, number),
    )


def count(base: sqlite3.Connection, name: str, amount: float = 1) -> None:
    """Add to what is counted for Prometheus, within a transaction."""
    base.execute(
        "insert into counts values (?, ?) on conflict (name) do update set value = value + ?",
        (name, amount, amount),
    )
