"""Fixtures of the clients' tests: a server, a clip, and a URL without a server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.server import Server
from tests.helpers.videos import write_video


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on which at most two analyses wait; its worker is not started."""
    with Server(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "a clip.mp4", 48, size=(64, 48))


@pytest.fixture
def unused_url() -> str:
    """A URL on which no server listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def no_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server with a full queue ask clients to try again at once."""
    monkeypatch.setattr("exvad.serving.api.routes.submission.RETRY_AFTER", "0")
