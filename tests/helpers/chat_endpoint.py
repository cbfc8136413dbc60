"""A language model behind HTTP, as a fake of an OpenAI-compatible server."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from exvad.data.world.activities import CLASSES

Reply = tuple[int, bytes, dict[str, str]]  # status, content, headers
Fault = Callable[[int, str], Reply | None]


class FakeEndpoint:
    """A server whose answer depends only on the prompt, unless there is a fault.

    Args:
        fault: number of the request and prompt → the reply instead; None for the usual answer.
        port: the port; 0 for any free one.

    Attributes:
        requests: number of requests so far.
    """

    def __init__(self, fault: Fault, port: int = 0) -> None:
        self.requests = 0
        lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][0]["content"]
                with lock:
                    endpoint.requests += 1
                    number = endpoint.requests
                usual = answer_reply(explanation_answer(prompt))
                status, content, headers = fault(number, prompt) or usual
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        self.port = int(self.http.server_address[1])
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def override(self) -> str:
        """The override that makes a job use this server."""
        return base_url(self.port)

    def close(self) -> None:
        """Refuse connections from now on."""
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def fake_endpoint(fault: Fault | None = None, port: int = 0) -> Iterator[FakeEndpoint]:
    """Run a fake server until the block ends; see `FakeEndpoint`."""
    endpoint = FakeEndpoint(fault or (lambda number, prompt: None), port)
    try:
        yield endpoint
    finally:
        endpoint.close()


def base_url(port: int) -> str:
    """Return the override that makes a job use a server on this machine."""
    return f"llm.endpoint.base_url=http://127.0.0.1:{port}/v1"


def answer_reply(text: str) -> Reply:
    """Return the reply of the chat API that holds an answer."""
    return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode(), {}


def explanation_answer(prompt: str) -> str:
    """Return an explanation that depends on the prompt but not on the number of attempts."""
    first_prompt = prompt.split("\n(The last answer was refused")[0]
    digest = hashlib.sha256(first_prompt.encode()).digest()
    category = CLASSES[digest[0] % len(CLASSES)]
    return json.dumps(
        {
            "anomalous": category != CLASSES[0],
            "category": category,
            "summary": f"scene {digest[1]}",
            "reason": f"it looks like number {digest[2]}",
            "evidence": [1],
        }
    )
