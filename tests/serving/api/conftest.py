"""Fixtures of the API's tests: a clip, and clients of servers in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.workers.analysis_worker import AnalysisWorker
from tests.helpers.api import make_settings, open_client
from tests.helpers.fake_detector import FakeDetector
from tests.helpers.videos import write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", 48, size=(64, 48))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a server whose worker analyzes videos of at most 200 000 bytes."""
    settings = make_settings(tmp_path, max_bytes=200_000, allowed_root=tmp_path / "root")
    queue = AnalysisQueue(settings.database_path)
    worker = AnalysisWorker(FakeDetector(), queue, settings)  # type: ignore[arg-type]
    stopped = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopped,))
    thread.start()
    with open_client(settings) as client:
        yield client
    stopped.set()
    thread.join()


@pytest.fixture
def idle_client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a server without a worker, on which at most two analyses wait."""
    with open_client(make_settings(tmp_path, max_waiting=2)) as client:
        yield client


@pytest.fixture
def stream_client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a server that watches at most one stream."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "door.ts").write_bytes(b"G")
    settings = make_settings(tmp_path, allowed_root=tmp_path / "root", max_streams=1)
    with open_client(settings) as client:
        yield client


@pytest.fixture
def streams(tmp_path: Path) -> StreamQueue:
    return StreamQueue(tmp_path / "spool" / "queue.sqlite")
