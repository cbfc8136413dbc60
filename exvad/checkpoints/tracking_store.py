"""Whether MLflow's server or database can be used, found out in seconds.

MLflow itself asks a server or a database that does not answer again and again, for minutes.
"""

from __future__ import annotations

import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

from exvad.checkpoints.local_tracking import (
    LOCK_SECONDS,
    REPLACE,
    database_path,
    tracking_errors,
)
from exvad.config.addresses import shown_address

ANSWER_SECONDS = 10.0
_SERVERS = ("http://", "https://")
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def require_tracking_store(uri: str, writes: bool = True, whole: bool = True) -> None:
    """Refuse a tracking store that can't be used; nothing is made.

    Args:
        uri: the URI of MLflow: a server, a SQLite file, another database, or a folder.
        writes: whether something will be written to it.
        whole: whether a SQLite file is read to its end, which takes seconds for gigabytes.

    Raises:
        ValueError: the server or database does not answer, or the file is no database, can't be
            written, or is locked.
    """
    database = database_path(uri)
    if database is not None:
        _require_database(database, writes, whole)
    elif uri.startswith(_SERVERS):
        _require_server(uri)
    elif re.match(r"(postgresql|mysql|mssql)[+:]", uri):
        _require_remote_database(uri)


def _require_server(uri: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_default_host_creds(uri),
            "/health",
            "GET",
            max_retries=0,
            timeout=ANSWER_SECONDS,
            raise_on_status=False,
        )
        if answer.status_code < 500:
            return
        reason = f"it answers {answer.status_code}"
    except (MlflowException, OSError) as error:
        reason = _root_reason(error)
    raise ValueError(
        f"the MLflow server {shown_address(uri)} can't be used ({reason}): start it, or set "
        "mlflow.uri or MLFLOW_TRACKING_URI to another address"
    )


def _require_database(database: Path, writes: bool, whole: bool) -> None:
    if not database.exists():
        return
    if not database.is_file():
        raise ValueError(f"{database}: is no file, and MLflow keeps its database there")
    with tracking_errors(database), closing(sqlite3.connect(database, LOCK_SECONDS)) as connection:
        # A file that was cut off has a readable beginning. Read before it is locked for writing:
        # other writers go on.
        query = "PRAGMA quick_check(1)" if whole else "SELECT 'ok' FROM sqlite_master LIMIT 1"
        (state,) = connection.execute(query).fetchone() or ("ok",)
        if writes:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    if state != "ok":
        reason = " ".join(str(state).split())
        raise ValueError(f"{database}: the file is damaged ({reason}); {REPLACE}")


def _require_remote_database(uri: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(uri)
        port = url.port or _PORTS[url.get_backend_name()]
        if url.host:
            socket.create_connection((url.host, port), ANSWER_SECONDS).close()
        create_engine(url).connect().close()
        return
    except (SQLAlchemyError, ImportError, OSError) as error:
        reason = _root_reason(error)
    except ValueError:  # of a port that is no number, whose message may quote a password
        reason = "its port is no number; in a password, write %40 for @ and %3A for :"
    raise ValueError(f"MLflow's database {shown_address(uri)} can't be used ({reason})")


def _root_reason(error: BaseException) -> str:
    """Return in one line what an error began with; packages wrap errors in others."""
    from urllib3.exceptions import LocationParseError

    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    if isinstance(error, LocationParseError):
        return "the address is invalid"  # its message quotes all of it
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
