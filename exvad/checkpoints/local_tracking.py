"""MLflow's SQLite file of a run: patience with other users, and artifacts that move with the run.

MLflow stores the places of artifacts as absolute paths. A run that is moved would lose its models,
and a copied run would write into the original.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from exvad.config.addresses import shown_message
from exvad.data.storage.claims import claimed_file

SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
LOCK_SECONDS = 60
RETRY_SECONDS = 0.1
REPLACE = "restore it, or move it away, and the same command begins a new one"
_DAMAGED = ("not a database", "malformed")  # what SQLite says about other files
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def database_path(uri: str) -> Path | None:
    """Return the SQLite file of a tracking URI; None if the URI names something else."""
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE).partition("?")[0])


def artifacts_beside(database: Path) -> str:
    """Return the URI of the folder of artifacts beside a SQLite file."""
    return (database.parent / ARTIFACTS).resolve().as_uri()


def patient_uri(uri: str) -> str:
    """Return a tracking URI by which SQLite waits a minute for other writers, not five seconds."""
    if database_path(uri) is None or "?" in uri:
        return uri
    return f"{uri}?timeout={LOCK_SECONDS}"


def keep_readers_from_blocking(database: Path) -> None:
    """Set a SQLite file to the mode in which readers and a writer don't wait for each other.

    Args:
        database: the SQLite file, which exists.

    Raises:
        ValueError: the file can't be written, is locked, or is no database.
    """
    with tracking_errors(database), closing(sqlite3.connect(database, LOCK_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def adopt_artifacts(database: Path) -> None:
    """Make a SQLite file of MLflow name the artifacts beside it, wherever the run was before.

    Nothing is written if the file or the artifacts are not there yet, if the file names these
    artifacts already, or if the artifacts are stored elsewhere on purpose.

    Args:
        database: the SQLite file.

    Raises:
        ValueError: the file can't be written, is locked, or is no database.
    """
    if not database.exists() or not (database.parent / ARTIFACTS).is_dir():
        return
    here = artifacts_beside(database)
    with tracking_errors(database), closing(sqlite3.connect(database, LOCK_SECONDS)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "experiments" not in tables:
            return
        query = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE ?"
        places = {place for (place,) in connection.execute(query, (f"file:%/{ARTIFACTS}",))}
        with connection:
            for place in places - {here}:
                for table, column in _PLACES:
                    if table in tables:
                        connection.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                            (here, len(place) + 1, place, len(place) + 1, f"{place}/"),
                        )


@contextmanager
def one_at_a_time(database: Path | None) -> Iterator[None]:
    """Let one process of this machine at a time look into a SQLite file, or make it.

    MLflow makes its tables one by one, and refuses a file in which some are missing.

    Args:
        database: the SQLite file; None for a server, where nothing has to wait.

    Raises:
        ValueError: another process has been at it for a minute.
        OSError: the folder can't be written to.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    with ExitStack() as stack:
        while database is not None:
            try:
                stack.enter_context(claimed_file(database, "exvad command"))
                break
            except ValueError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)
        yield


@contextmanager
def tracking_errors(database: Path | None, done: str = "") -> Iterator[None]:
    """Raise errors of MLflow and of its database as ValueError.

    Args:
        database: the SQLite file of a local MLflow; None for a server.
        done: what was completed before, for the message.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        place = database or "the MLflow server"
        reason = shown_message(str(error).strip()).splitlines()[0]
        if "locked" in reason:
            reason = "it is locked by another program; close that program and run again"
        elif database is not None and any(words in reason for words in _DAMAGED):
            reason += f"; {REPLACE}"
        raise ValueError(f"{place}: {reason}{done and '; ' + done}") from None
