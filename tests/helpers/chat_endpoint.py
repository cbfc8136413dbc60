"""A language model behind HTTP, as a fake of an OpenAI-compatible server."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from exvad.data.world.activities import CLASSES

Reply = tuple[int, bytes, dict[str, str]]  # status, content, headers
Fault = Callable[[int, str], Reply | None]


class ChatServer:
    """An HTTP server that records its requests and answers each with a given function.

    Args:
        answer: called with the body and the number of a request, from 1; returns the reply, or None
            to close the connection without one.
        port: the port; 0 for any free one.

    Attributes:
        requests: the bodies of the requests.
        headers: their headers.
        max_concurrent: the largest number of requests at the same time.
        port: the port.
        url: the base URL of the API.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any], int], Reply | None], port: int = 0
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.max_concurrent = self._concurrent = 0
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.requests.append(body)
                    server.headers.append(self.headers)
                    number = len(server.requests)
                    server._concurrent += 1
                    server.max_concurrent = max(server._concurrent, server.max_concurrent)
                reply = answer(body, number)
                with lock:
                    server._concurrent -= 1
                if reply is None:
                    self.connection.close()
                    return
                status, content, headers = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = int(self._http.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        self._http.shutdown()
        self._http.server_close()


class FakeEndpoint(ChatServer):
    """A server whose answer depends only on the prompt, unless there is a fault.

    Args:
        fault: number of the request and prompt → the reply instead; None for the usual answer.
        port: the port; 0 for any free one.
    """

    def __init__(self, fault: Fault, port: int = 0) -> None:
        def answer(body: dict[str, Any], number: int) -> Reply:
            prompt = body["messages"][0]["content"]
            return fault(number, prompt) or answer_reply(explanation_answer(prompt))

        super().__init__(answer, port)

    @property
    def override(self) -> str:
        """The override that makes a job use this server."""
        return base_url(self.port)


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


def answer_reply(text: str | None, finish_reason: str = "stop", **message: Any) -> Reply:
    """Return the reply of the chat API that holds an answer.

    Args:
        text: the answer; None for an answer without content.
        finish_reason: why it ended.
        message: further fields of the message.
    """
    choice = {"message": {"content": text, **message}, "finish_reason": finish_reason}
    return 200, json.dumps({"choices": [choice]}).encode(), {}


def error_reply(status: int, message: str, **fields: str) -> Reply:
    """Return the reply of the chat API that holds an error with its message and other fields."""
    return status, json.dumps({"error": {"message": message, **fields}}).encode(), {}


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
