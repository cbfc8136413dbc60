"""The SQLite file behind the queues of analyses, streams and webhooks.

Every process opens the file on its own, in WAL mode. A durable write waits for the disk, so that it
survives a power failure. Progress events are not durable: only clients that follow need them.

The file is readable for its owner only, and what is deleted is overwritten: streams have passwords.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from exvad.data.storage.errors import reason_of
from exvad.data.storage.writable import write_probe
from exvad.data.versions import OtherVersionError
from exvad.serving.queue.schema import (
    SCHEMA_VERSION,
    create_tables,
    is_upgradable,
    upgrade_tables,
)

LOCK_SECONDS = 30  # longest wait for a lock of another process
FULL_DISK_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
PRIVATE = 0o600  # the file has the passwords of cameras
NOT_FOR_OTHERS = 0o007


class Database:
    """A SQLite file that every process opens on its own.

    Args:
        path: the file; it is created if it does not exist, and upgraded if an earlier version
            since 0.2.0 wrote it.

    Raises:
        OtherVersionError: a later version of exvad wrote the file, or 0.1.
        ValueError: the file is not a database of exvad.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # SQLite does not wait for the lock that changes the journal mode.
        with path.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _keep_from_others(path)
            with self.read() as connection:
                version = _read_version(connection, path)
                if version is None:
                    create_tables(connection)
                elif version != SCHEMA_VERSION:
                    upgrade_tables(connection, version)
                    # What earlier versions deleted is still in the file: this writes it anew.
                    connection.execute("vacuum")
                    _empty_log(connection)
        # SQLite keeps the WAL file while one connection is open. Other connections then open
        # quickly, and also on a full disk.
        self._idle_connection = sqlite3.connect(path, LOCK_SECONDS, check_same_thread=False)
        self._idle_connection.execute("select count(*) from counters").fetchone()

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Run a transaction.

        Args:
            durable: whether the transaction must survive a power failure.

        Yields:
            The connection. The transaction is committed at the end of the block, and rolled back
            if the block raises.
        """
        with self.read() as connection:
            connection.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            connection.execute("pragma secure_delete = on")
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for reading; writers do not block it."""
        with _connect(self.path) as connection:
            yield connection

    def erase_deleted(self) -> None:
        """Remove what was deleted from the write-ahead log, which has copies of it."""
        with self.read() as connection:
            _empty_log(connection)

    def detect_changes(self) -> ChangeDetector:
        """Return a detector of writes to the file."""
        return ChangeDetector(self.path)

    def append_event(self, subject_id: str, kind: str, data: Mapping[str, object]) -> None:
        """Append an event of an analysis or stream, for the clients that follow it."""
        with self.write(durable=False) as connection:
            append_event(connection, subject_id, kind, json.dumps(data))

    def read_events(self, subject_id: str, after: int = 0) -> list[tuple[int, str, str]]:
        """Return the events of an analysis or stream, oldest first.

        Args:
            subject_id: id of the analysis or stream.
            after: number of the last event that the caller has already.

        Returns:
            Number, kind and JSON of each event.
        """
        with self.read() as connection:
            rows = connection.execute(
                "select number, kind, data from events where subject_id = ? and number > ? "
                "order by number",
                (subject_id, after),
            ).fetchall()
        return [tuple(row) for row in rows]

    def read_counters(self) -> dict[str, float]:
        """Return the totals since the file was created; see `increment_counter`."""
        with self.read() as connection:
            return dict(connection.execute("select name, value from counters").fetchall())


class ChangeDetector:
    """Detects writes to the file; a check takes some microseconds.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, LOCK_SECONDS, check_same_thread=False)
        self._version = -1

    def has_changed(self) -> bool:
        """Whether another connection has written since the last call; true at the first call."""
        (version,) = self._connection.execute("pragma data_version").fetchone()
        previous, self._version = self._version, int(version)
        return self._version != previous

    def last_event(self) -> int:
        """Return the number of the newest event; 0 if there is none."""
        (number,) = self._connection.execute(
            "select coalesce(max(number), 0) from events"
        ).fetchone()
        return int(number)

    def latest_events(self, after: int) -> dict[str, int]:
        """Return the newest event of each analysis and stream that has new events.

        Args:
            after: number of the last event that is not new.

        Returns:
            Id of the analysis or stream → number of its newest event.
        """
        rows = self._connection.execute(
            "select subject_id, max(number) from events where number > ? group by subject_id",
            (after,),
        )
        return dict(rows.fetchall())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def check_database(path: Path) -> None:
    """Check that this version of exvad can open a database, and upgrade it; none is created.

    Args:
        path: the file; it may be missing.

    Raises:
        OtherVersionError: a later version of exvad wrote the file, or 0.1.
        ValueError: the file is not a database of exvad, or can't be opened.
    """
    check_folder(path.parent)
    if not path.exists():
        return
    with database_errors(path):
        with _connect(path) as connection:
            version = _read_version(connection, path)
        if version != SCHEMA_VERSION:
            Database(path)


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Raise what SQLite says about a file that it can't use as a sentence for the user.

    Args:
        path: the file.

    Raises:
        ValueError: the disk is full or read-only, the file is locked, and so on.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        reason = _disk_problem(path.parent) or str(error)
        if "full" in str(error) or reason != str(error):
            raise ValueError(
                f"{path} can't be written ({reason}): make room or rights there, and run the same "
                "command again"
            ) from None
        raise ValueError(f"{path} can't be opened: {error}") from None


def is_full_disk(error: sqlite3.OperationalError) -> bool:
    """Whether a transaction has failed because the disk has no room for it."""
    return error.sqlite_errorcode in FULL_DISK_CODES


def _disk_problem(folder: Path) -> str:
    """Return why nothing can be written in a folder, which SQLite may not say; empty if it can."""
    try:
        write_probe(folder)
    except OSError as error:
        return reason_of(error)
    return ""


def check_folder(folder: Path) -> None:
    """Check that files can be written in a folder, or that it can be created; create nothing.

    Args:
        folder: the folder; it may be missing.

    Raises:
        ValueError: it is a file, or nothing can be written there.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise ValueError(f"{existing} is no folder: set another spool folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} can't be written to: set another spool folder")


def append_event(connection: sqlite3.Connection, subject_id: str, kind: str, data: str) -> None:
    """Append an event within a transaction; the event of a deleted subject is dropped.

    Args:
        connection: the open transaction.
        subject_id: id of the analysis or stream.
        kind: such as `progress`.
        data: JSON.
    """
    connection.execute(
        "insert into events (subject_id, kind, data) select ?, ?, ? "
        "where exists (select 1 from analyses where id = ?) "
        "or exists (select 1 from streams where id = ?)",
        (subject_id, kind, data, subject_id, subject_id),
    )


def increment_counter(connection: sqlite3.Connection, name: str, amount: float = 1) -> None:
    """Add to a total that Prometheus reads, within a transaction."""
    connection.execute(
        "insert into counters values (?, ?) on conflict (name) do update set value = value + ?",
        (name, amount, amount),
    )


@contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, LOCK_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def _keep_from_others(path: Path) -> None:
    """Create the file for its owner only; take it from the users who are not in its group."""
    if not path.exists():
        # Never where it exists: to close a file releases the locks of all SQLite's connections of
        # this process to it, and other processes then take away the log that these write to.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
    # SQLite gives its log and its index the permissions of the file.
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file = path.with_name(name)
        if file.exists() and file.stat().st_mode & NOT_FOR_OTHERS:
            file.chmod(PRIVATE)


def _empty_log(connection: sqlite3.Connection) -> None:
    connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def _read_version(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the version of the tables, this one or an earlier one; None for an empty file."""
    try:
        (version,) = connection.execute("pragma user_version").fetchone()
    except sqlite3.OperationalError:
        raise  # the file is locked, or the disk is full
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"{path} can't be read ({error}): move it away, or set another spool folder"
        ) from None
    tables = {row["name"] for row in connection.execute("select name from sqlite_master")}
    if not tables:
        return None
    if version == 0:
        raise ValueError(
            f"{path} is not a database of exvad: move it away, or set another spool folder"
        )
    written_by = "0.1"  # it stored no version
    if "written_by" in tables:
        (written_by,) = connection.execute("select version from written_by").fetchone()
        if version == SCHEMA_VERSION or is_upgradable(version):
            return int(version)
    raise OtherVersionError(
        str(path), written_by, "set another spool folder in the server's settings"
    )
