"""Endpoints and vLLM environments before a job."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exvad.config import EndpointConfig
from exvad.pipeline.preflight.backends import check_endpoint, check_vllm
from tests.helpers.processes import free_port

Serve = Callable[[int, str], EndpointConfig]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts an endpoint: status and content of `GET /v1/models` → settings."""
    servers = []

    def start(status: int, content: str) -> EndpointConfig:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/v1/models"
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return EndpointConfig(base_url=f"http://127.0.0.1:{server.server_address[1]}/v1/")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_endpoint_must_offer_the_model(serve: Serve) -> None:
    settings = serve(200, json.dumps({"data": [{"id": "llama"}, {"id": "qwen"}]}))
    assert check_endpoint("llm", "qwen", settings, waits=False).ok
    finding = check_endpoint("llm", "gwen", settings, waits=False)
    assert not finding.ok
    assert "llama, qwen" in finding.detail


@pytest.mark.parametrize(
    ("status", "content", "ok", "ok_in_job", "part"),
    [
        (401, "", False, False, "OPENAI_API_KEY is not set"),
        (404, "", False, False, "/v1"),
        (200, "<html>", False, False, "no list of models"),
        (200, "{}", False, False, "no list of models"),
        (503, "", False, True, "503"),
        (501, "", True, True, "does not list models"),
    ],
)
def test_endpoint_that_refuses_or_is_none(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    content: str,
    ok: bool,
    ok_in_job: bool,
    part: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = serve(status, content)
    finding = check_endpoint("llm", "x", settings, waits=False)
    assert (finding.ok, check_endpoint("llm", "x", settings, waits=True).ok) == (ok, ok_in_job)
    assert part in finding.detail


def test_endpoint_that_is_down_is_waited_for_by_a_job_only() -> None:
    settings = EndpointConfig(base_url=f"http://127.0.0.1:{free_port()}/v1")
    finding = check_endpoint("llm", "x", settings, waits=False)
    assert not finding.ok
    assert "can't be reached" in finding.detail
    assert check_endpoint("llm", "x", settings, waits=True).ok
    assert not check_endpoint("llm", "x", EndpointConfig(base_url="nonsense"), waits=True).ok


def test_vllm_is_looked_for_in_its_environment(tmp_path: Path) -> None:
    for python, part in (
        ("", "pip install 'exvad[vllm]'"),
        (sys.executable, "has no vLLM"),
        (str(tmp_path / "python"), "can't be run"),
    ):
        finding = check_vllm("llm", python)
        assert not finding.ok
        assert part in finding.detail
    fake = tmp_path / "fake"
    fake.write_text('#!/bin/sh\necho \'{"vllm": "0.33.0", "ray": "1.0"}\'\n')
    fake.chmod(0o755)
    finding = check_vllm("llm", str(fake))
    assert not finding.ok
    assert "has Ray 1.0" in finding.detail
