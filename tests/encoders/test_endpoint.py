"""A chat endpoint that is down, busy, broken or silent, for real over HTTP."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from exvad.aegm.explanation import explain
from exvad.aegm.prompts import load_prompt
from exvad.config import EndpointConfig, load_config
from exvad.encoders.endpoint import ChatEndpoint, EndpointCaptioner, EndpointError, EndpointLLM
from exvad.encoders.loading import load_captioner, load_llm
from exvad.results import Explanation

Reply = tuple[int, bytes, dict[str, str]]
CLASSES = ("Normal", "Arson")


def said(text: str) -> Reply:
    return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode(), {}


class Server:
    """Answers as a function of the request's body says; keeps what was asked."""

    def __init__(self, answer: Callable[[dict[str, Any], int], Reply | None]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.busiest = self.busy = 0
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.asked.append(body)
                    server.headers.append(self.headers)
                    number = len(server.asked)
                    server.busy += 1
                    server.busiest = max(server.busy, server.busiest)
                reply = answer(body, number)
                with lock:
                    server.busy -= 1
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
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(answer: Callable[[dict[str, Any], int], Reply | None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def endpoint(url: str, **settings: Any) -> ChatEndpoint:
    return ChatEndpoint("m", EndpointConfig(base_url=url, **settings), 64)


def test_answers_come_in_order_and_side_by_side(serving: Callable[..., Server]) -> None:
    def echo(body: dict[str, Any], _: int) -> Reply:
        time.sleep(0.05)
        return said(body["messages"][0]["content"].upper())

    server = serving(echo)
    llm = EndpointLLM(endpoint(server.url, concurrency=4))
    prompts = [f"prompt {n}" for n in range(20)]
    assert llm.complete(prompts) == [prompt.upper() for prompt in prompts]
    assert 1 < server.busiest <= 4
    assert server.asked[0]["temperature"] == 0
    assert server.asked[0]["max_tokens"] == 64


@pytest.mark.parametrize("failure", [429, 500, 503, None, "rubbish"])
def test_what_passes_is_waited_out(serving: Callable[..., Server], failure: Any) -> None:
    def moody(_: dict[str, Any], number: int) -> Reply | None:
        if number > 2:
            return said("well")
        if failure is None:
            return None
        if failure == "rubbish":
            return 200, b"<html>", {}
        return failure, b"later", {"Retry-After": "0"}

    server = serving(moody)
    assert EndpointLLM(endpoint(server.url)).complete(["a"]) == ["well"]
    assert len(server.asked) == 3


def test_retry_after_is_honoured(serving: Callable[..., Server]) -> None:
    begin = time.monotonic()
    server = serving(
        lambda _, number: said("ok") if number > 1 else (429, b"", {"Retry-After": "2"})
    )
    EndpointLLM(endpoint(server.url)).complete(["a"])
    assert time.monotonic() - begin >= 2


def test_one_that_stays_silent_is_given_up_in_one_sentence(serving: Callable[..., Server]) -> None:
    server = serving(lambda *_: (503, b"starting", {}))
    with pytest.raises(EndpointError, match=r"no answer for 1 s \(503: starting\)"):
        EndpointLLM(endpoint(server.url, patience=1)).complete(["a"])
    with pytest.raises(EndpointError, match="run again"):
        EndpointLLM(endpoint("http://127.0.0.1:9/v1", patience=0.5)).complete(["a"])


def test_a_refused_key_is_told_at_once_and_never_shown(
    serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-123")
    server = serving(lambda *_: (401, b"bad key", {}))
    with pytest.raises(EndpointError, match="401: bad key") as caught:
        EndpointLLM(endpoint(server.url, api_key_env="MY_KEY")).complete(["a"])
    assert len(server.asked) == 1
    assert server.headers[0]["Authorization"] == "Bearer secret-123"
    assert "secret-123" not in str(caught.value)


def test_an_unanswerable_prompt_costs_only_itself(serving: Callable[..., Server]) -> None:
    def strict(body: dict[str, Any], _: int) -> Reply:
        long = len(body["messages"][0]["content"]) > 10
        return (400, b"too long", {}) if long else said("fine")

    llm = EndpointLLM(endpoint(serving(strict).url))
    assert llm.complete(["a", "b" * 20, "c"]) == ["fine", "", "fine"]


def test_the_rate_is_kept(serving: Callable[..., Server]) -> None:
    server = serving(lambda *_: said("x"))
    begin = time.monotonic()
    EndpointLLM(endpoint(server.url, requests_per_minute=600)).complete(["a"] * 6)
    assert time.monotonic() - begin >= 0.5


def test_pictures_travel_as_jpeg(serving: Callable[..., Server]) -> None:
    server = serving(lambda *_: said("a red square"))
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    frames[..., 0] = 250
    assert EndpointCaptioner(endpoint(server.url), "What?").caption(frames) == ["a red square"] * 2
    text, image = server.asked[0]["messages"][0]["content"]
    assert text["text"] == "What?"
    data = base64.b64decode(image["image_url"]["url"].split(",")[1])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (32, 24)
        assert picture.getpixel((5, 5))[0] > 200  # type: ignore[index]


def test_rubbish_is_asked_for_again_and_a_record_in_prose_is_found(
    serving: Callable[..., Server],
) -> None:
    record = Explanation(anomalous=True, category="Arson", summary="s", reason="r", evidence=[1])

    def model(_: dict[str, Any], number: int) -> Reply:
        if number == 1:
            return said("I am {not} sure")
        return said(f"Set {{A}}. ```json\n{record.model_dump_json()}\n``` Hope {{this}} helps")

    llm = EndpointLLM(endpoint(serving(model).url))
    assert explain([["a bin burns"]], llm, load_prompt("explanation"), CLASSES) == [record]


def test_one_line_of_the_preset_switches(serving: Callable[..., Server]) -> None:
    server = serving(lambda *_: said("hello"))
    config = load_config(
        "ucf_crime",
        ["llm.backend=openai", f"llm.endpoint.base_url={server.url}", "captioner.backend=openai",
         f"captioner.endpoint.base_url={server.url}"],
    )  # fmt: skip
    assert load_llm(config).complete(["a"]) == ["hello"]
    assert load_captioner(config).caption(np.zeros((1, 8, 8, 3), np.uint8)) == ["hello"]
    assert server.asked[0]["model"] == "meta-llama/Llama-3.1-8B-Instruct"
