"""The HTTP server and its workers in threads of the test."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import uvicorn

from exvad.serving.api.application import create_api
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.analysis_worker import AnalysisWorker
from tests.helpers.fake_detector import FakeDetector

JOIN_SECONDS = 20


class Server:
    """A server on a free port. Use it as a context manager, or stop it.

    Args:
        folder: folder for uploads and the database.
        settings: settings that differ from the defaults; at most two analyses wait.

    Attributes:
        settings: all settings.
        url: URL of the server.
        http: the HTTP server.
        stopped: set when the server stops.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = ServerSettings(spool=folder / "spool", **{"max_waiting": 2, **settings})
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)  # early connections wait until the server accepts them
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(create_api(self.settings), log_level="error")
        self.http = uvicorn.Server(config)
        self.start_thread(lambda _: self.http.run(sockets=[self._socket]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_thread(self, run: Callable[[threading.Event], None]) -> None:
        """Run a function in a thread; it must return once the event is set."""
        thread = threading.Thread(target=run, args=(self.stopped,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def start_worker(self, detector: Any = None) -> None:
        """Start to analyze the submitted videos, with a `FakeDetector` unless one is given."""
        detector = FakeDetector() if detector is None else detector
        worker = AnalysisWorker(detector, AnalysisQueue(self.settings.database_path), self.settings)
        self.start_thread(worker.run)

    def connect(self) -> socket.socket:
        """Open a connection, for tests that send parts of a request."""
        return socket.create_connection(self._socket.getsockname(), timeout=10)

    def stop(self) -> None:
        """Stop the server and its workers."""
        self.stopped.set()
        self.http.should_exit = True
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self._socket.close()
