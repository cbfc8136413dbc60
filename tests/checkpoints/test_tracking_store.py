"""A tracking store that can't be used is refused in seconds, with its address and the reason."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from exvad.checkpoints import tracking_store
from exvad.checkpoints.tracking_store import require_tracking_store
from tests.helpers.processes import free_port

pytestmark = pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated")


class Gateway(BaseHTTPRequestHandler):
    """Answers as a gateway whose server is down, or, below /up, as a server.

    Attributes:
        asked: the paths that were asked for.
    """

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        self.send_response(200 if self.path.startswith("/up") else 502)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_refuses_hangs_or_is_behind_a_gateway_is_asked_once_and_refused(
    gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_store, "ANSWER_SECONDS", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        for uri, reason in (
            (f"http://user:secret@127.0.0.1:{free_port()}", "refused"),
            (f"http://127.0.0.1:{silent.getsockname()[1]}", "no answer"),
            (gateway, "answers 502"),
        ):
            with pytest.raises(ValueError, match=rf"MLflow server http.*{reason}.*set") as caught:
                require_tracking_store(uri)
            assert "secret" not in str(caught.value)
    assert Gateway.asked == ["/health"]
    require_tracking_store(f"{gateway}/up")


def test_another_database_that_does_not_answer_or_has_no_driver_is_refused() -> None:
    for uri in (f"postgresql://user:secret@127.0.0.1:{free_port()}/x", "mssql+nodriver:///x"):
        with pytest.raises(ValueError, match=r"MLflow's database .* can't be used") as caught:
            require_tracking_store(uri)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("https://user:secret@127.0.0.1:99999", "the address is invalid"),
        ("https://user:a@secret@127.0.0.1:1", "refused"),
        ("postgresql://user:a/secret@127.0.0.1:1/x", "refused"),
        ("postgresql://user:12@34:secret@127.0.0.1/x", "its port is no number"),
        ("postgresql://127.0.0.1:1/x?password=secret", "refused"),
    ],
)
def test_no_message_has_a_part_of_a_password(uri: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        require_tracking_store(uri)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_a_missing_one_is_not_made(
    tmp_path: Path,
) -> None:
    database = tmp_path / "mlflow.db"
    require_tracking_store(f"sqlite:///{database}")
    assert not database.exists()
    database.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(ValueError, match=f"{database}: file is not a database; restore it, or"):
        require_tracking_store(f"sqlite:///{database}")
    with pytest.raises(ValueError, match=f"{tmp_path}: is no file"):
        require_tracking_store(f"sqlite:///{tmp_path}")
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE t (x)")
    require_tracking_store(f"sqlite:///{database}?timeout=60")


@pytest.mark.parametrize("kept", [1, 3, 11])
def test_a_database_that_was_cut_off_is_refused_before_it_is_used(
    tmp_path: Path, kept: int
) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE experiments (name TEXT UNIQUE)")
        rows = [(f"{number:05d}" * 40,) for number in range(100)]
        connection.executemany("INSERT INTO experiments VALUES (?)", rows)
    content = database.read_bytes()
    assert len(content) > 12 * 4096
    database.write_bytes(content[: kept * 4096])
    with pytest.raises(ValueError, match=rf"{database}: .*; restore it, or move it away") as caught:
        require_tracking_store(f"sqlite:///{database}")
    assert len(str(caught.value).splitlines()) == 1
