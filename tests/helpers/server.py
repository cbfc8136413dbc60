"""TODO"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from exvad.serving.api.application import create_api
from exvad.serving.queue.analyses import Queue
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.analysis_worker import Worker
from tests.helpers.served import MadeDetector


class Server:
    """A server on a port of its own, whose worker can be told to begin."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.settings = ServerSettings(spool=folder / "spool", **{"max_waiting": 2, **changed})
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)  # who comes before it is up waits
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(create_api(self.settings), log_level="error")
        self.http = uvicorn.Server(config)
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self.http.run, kwargs={"sockets": [self.socket]}, daemon=True)
        ]
        self.threads[0].start()

    def begin(self) -> None:
        queue = Queue(self.settings.spool / "queue.sqlite")
        worker = Worker(MadeDetector(), queue, self.settings)  # type: ignore[arg-type]
        thread = threading.Thread(target=worker.run, args=(self.stopped,), daemon=True)
        thread.start()
        self.threads.append(thread)

    def end(self) -> None:
        self.stopped.set()
        self.http.should_exit = True
        for thread in self.threads:
            thread.join(20)
        self.socket.close()


@contextmanager
def serving(folder: Path, **changed: Any) -> Iterator[Server]:
    server = Server(folder, **changed)
    try:
        yield server
    finally:
        server.end()
