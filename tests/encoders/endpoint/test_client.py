"""The chat endpoint client, against an HTTP server that is down, busy, broken or silent."""

from __future__ import annotations

import base64
import io
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from exvad.aegm.explanation import explain
from exvad.aegm.prompts import load_prompt
from exvad.config import EndpointConfig, load_config
from exvad.encoders.answers import Answer
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.endpoint import ChatEndpoint, EndpointError, EndpointLLM, RefusingEndpointError
from exvad.encoders.loading import load_captioner, load_llm
from exvad.results import Explanation
from tests.helpers.chat_endpoint import ChatServer, Reply, answer_reply, error_reply
from tests.helpers.processes import free_port

CLASSES = ("Normal", "Arson")


@pytest.fixture
def serving() -> Iterator[Callable[..., ChatServer]]:
    """Start servers, and stop them after the test."""
    servers: list[ChatServer] = []

    def start(answer: Callable[[dict[str, Any], int], Reply | None]) -> ChatServer:
        servers.append(ChatServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def endpoint(url: str, **settings: Any) -> ChatEndpoint:
    """Return a client of the endpoint at a URL."""
    return ChatEndpoint("m", EndpointConfig(base_url=url, **settings), 64)


def test_no_thread_tries_on_after_ctrl_c() -> None:
    down = endpoint(f"http://127.0.0.1:{free_port()}", patience=300, concurrency=2)
    main_thread = threading.get_ident()
    threading.Timer(1, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        EndpointLLM(down).complete(["a", "b", "c"])
    start = time.monotonic()
    down.pool.shutdown()
    assert time.monotonic() - start < 5


def test_complete_reports_the_request_that_failed_and_not_those_given_up_for_it(
    serving: Callable[..., ChatServer],
) -> None:
    first_waits = threading.Event()

    def answer(body: dict[str, Any], _: int) -> Reply:
        if body["messages"][0]["content"] == "first":
            first_waits.set()
            return error_reply(429, "busy")
        first_waits.wait(10)
        return error_reply(401, "wrong key")

    llm = EndpointLLM(endpoint(serving(answer).url, concurrency=2))
    with pytest.raises(EndpointError, match="wrong key"):
        llm.complete(["first", "second"])


def test_complete_sends_requests_in_parallel_and_keeps_their_order(
    serving: Callable[..., ChatServer],
) -> None:
    def echo(body: dict[str, Any], _: int) -> Reply:
        time.sleep(0.05)
        return answer_reply(body["messages"][0]["content"].upper())

    server = serving(echo)
    llm = EndpointLLM(endpoint(server.url, concurrency=4))
    prompts = [f"prompt {n}" for n in range(20)]
    assert llm.complete(prompts) == [Answer(prompt.upper()) for prompt in prompts]
    assert 1 < server.max_concurrent <= 4
    assert server.requests[0]["temperature"] == 0
    assert server.requests[0]["max_tokens"] == 64


@pytest.mark.parametrize("failure", [429, 500, 503, None, "rubbish"])
def test_complete_retries_after_temporary_failures(
    serving: Callable[..., ChatServer], failure: Any
) -> None:
    def fail_twice(_: dict[str, Any], number: int) -> Reply | None:
        if number > 2:
            return answer_reply("well")
        if failure is None:
            return None
        if failure == "rubbish":
            return 200, b"<html>", {}
        return failure, b"later", {"Retry-After": "0"}

    server = serving(fail_twice)
    assert EndpointLLM(endpoint(server.url)).complete(["a"]) == [Answer("well")]
    assert len(server.requests) == 3


def test_complete_names_an_endpoint_that_gives_no_chat_answer_reply(
    serving: Callable[..., ChatServer],
) -> None:
    server = serving(lambda *_: (200, b'{"status": "ok"}', {}))
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:.* is no chat completion"):
        EndpointLLM(endpoint(server.url)).complete(["a"])


def test_complete_waits_as_long_as_retry_after_says(serving: Callable[..., ChatServer]) -> None:
    start = time.monotonic()
    server = serving(
        lambda _, number: answer_reply("ok") if number > 1 else (429, b"", {"Retry-After": "2"})
    )
    EndpointLLM(endpoint(server.url)).complete(["a"])
    assert time.monotonic() - start >= 2


def test_complete_gives_up_after_its_patience(serving: Callable[..., ChatServer]) -> None:
    server = serving(lambda *_: (503, b"starting", {}))
    with pytest.raises(EndpointError, match=r"no answer for 1 s \(503: starting\)"):
        EndpointLLM(endpoint(server.url, patience=1)).complete(["a"])
    with pytest.raises(EndpointError, match="run again"):
        EndpointLLM(endpoint("http://127.0.0.1:9/v1", patience=0.5)).complete(["a"])


def test_complete_reports_a_rejected_key_at_once_and_without_the_key(
    serving: Callable[..., ChatServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-123")
    server = serving(lambda *_: (401, b"bad key secret-123", {}))
    with pytest.raises(EndpointError, match="401: bad key …") as caught:
        EndpointLLM(endpoint(server.url, api_key_env="MY_KEY")).complete(["a"])
    assert len(server.requests) == 1
    assert server.headers[0]["Authorization"] == "Bearer secret-123"
    assert "secret-123" not in str(caught.value)


def test_complete_says_what_is_wrong_with_an_address(serving: Callable[..., ChatServer]) -> None:
    server = serving(lambda *_: (404, b"nothing here", {}))
    with pytest.raises(EndpointError, match=r"404: nothing here \(check base_url and the model\)"):
        EndpointLLM(endpoint(server.url)).complete(["a"])
    page = serving(lambda *_: (200, b"<html>a proxy</html>", {}))
    with pytest.raises(EndpointError, match=r"no JSON but '<html>a proxy</html>'"):
        EndpointLLM(endpoint(page.url, patience=0.1)).complete(["a"])
    for url in ("http://a b/v1", "nowhere", "http://[::1/v1"):
        with pytest.raises(EndpointError, match=r"is no URL of an endpoint"):
            EndpointLLM(endpoint(url)).complete(["a"])


def test_complete_does_not_quote_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("sécret", "se\ncret"):
        monkeypatch.setenv("MY_KEY", key)
        with pytest.raises(EndpointError, match=r"MY_KEY holds no API key") as caught:
            EndpointLLM(endpoint("http://127.0.0.1:9/v1", api_key_env="MY_KEY")).complete(["a"])
        assert "cret" not in str(caught.value)


def test_complete_returns_a_refusal_in_place_of_a_rejected_prompt(
    serving: Callable[..., ChatServer],
) -> None:
    def strict(body: dict[str, Any], _: int) -> Reply:
        long = len(body["messages"][0]["content"]) > 10
        return (400, b"too long", {}) if long else answer_reply("fine")

    llm = EndpointLLM(endpoint(serving(strict).url))
    assert llm.complete(["a", "b" * 20, "c"]) == [
        Answer("fine"),
        Answer("", refusal="400: too long"),
        Answer("fine"),
    ]


def test_complete_keeps_the_rate_limit(serving: Callable[..., ChatServer]) -> None:
    server = serving(lambda *_: answer_reply("x"))
    start = time.monotonic()
    EndpointLLM(endpoint(server.url, requests_per_minute=600)).complete(["a"] * 6)
    assert time.monotonic() - start >= 0.5


def test_caption_sends_frames_as_jpeg(serving: Callable[..., ChatServer]) -> None:
    server = serving(lambda *_: answer_reply("a red square"))
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    frames[..., 0] = 250
    assert EndpointCaptioner(endpoint(server.url), "What?").caption(frames) == ["a red square"] * 2
    image, text = server.requests[0]["messages"][0]["content"]
    assert text["text"] == "What?"
    data = base64.b64decode(image["image_url"]["url"].split(",")[1])
    with Image.open(io.BytesIO(data)) as image_file:
        assert image_file.size == (32, 24)
        assert image_file.getpixel((5, 5))[0] > 200  # type: ignore[index]


def test_explain_retries_an_invalid_answer_and_finds_json_in_prose(
    serving: Callable[..., ChatServer],
) -> None:
    record = Explanation(anomalous=True, category="Arson", summary="s", reason="r", evidence=[1])

    def model(_: dict[str, Any], number: int) -> Reply:
        if number == 1:
            return answer_reply("I am {not} sure")
        return answer_reply(
            f"Set {{A}}. ```json\n{record.model_dump_json()}\n``` Hope {{this}} helps"
        )

    llm = EndpointLLM(endpoint(serving(model).url))
    assert explain([["a bin burns"]], llm, load_prompt("explanation"), CLASSES) == [record]


def test_backend_openai_loads_the_endpoint_models(serving: Callable[..., ChatServer]) -> None:
    server = serving(lambda *_: answer_reply("hello"))
    config = load_config(
        "ucf_crime",
        ["llm.backend=openai", f"llm.endpoint.base_url={server.url}", "captioner.backend=openai",
         f"captioner.endpoint.base_url={server.url}"],
    )  # fmt: skip
    assert load_llm(config).complete(["a"]) == [Answer("hello")]
    assert load_captioner(config).caption(np.zeros((1, 8, 8, 3), np.uint8)) == ["hello"]
    assert server.requests[0]["model"] == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (answer_reply(None, reasoning_content="hm"), Answer("", only_thoughts=True)),
        (answer_reply("", "length", reasoning="hm"), Answer("", 64, only_thoughts=True)),
        (answer_reply('{"a', "length"), Answer('{"a', 64)),
        (answer_reply(None, refusal="I can't."), Answer("", refusal="I can't.")),
        (
            answer_reply("half an", "content_filter"),
            Answer("", refusal="the provider's content filter stopped the answer"),
        ),
    ],
)
def test_complete_tells_answers_that_are_no_whole_answer_apart(
    serving: Callable[..., ChatServer], reply: Reply, answer: Answer
) -> None:
    assert EndpointLLM(endpoint(serving(lambda *_: reply).url)).complete(["a"]) == [answer]


def test_complete_joins_the_text_parts_of_an_answer(serving: Callable[..., ChatServer]) -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a fire"}]
    message = {"choices": [{"message": {"content": parts}}]}
    server = serving(lambda *_: (200, json.dumps(message).encode(), {}))
    assert EndpointLLM(endpoint(server.url)).complete(["a"]) == [Answer("a fire")]


def new_model(body: dict[str, Any], _: int) -> Reply:
    """Answer as a model that takes neither `max_tokens` nor a temperature."""
    if "max_tokens" in body:
        return error_reply(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            code="unsupported_parameter",
        )
    if "temperature" in body:
        return error_reply(
            400,
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default "
            "(1) value is supported.",
        )
    return answer_reply(f"at most {body['max_completion_tokens']}")


def test_complete_adapts_once_to_a_model_that_refuses_parameters(
    serving: Callable[..., ChatServer],
) -> None:
    server = serving(new_model)
    llm = EndpointLLM(endpoint(server.url, concurrency=4))
    assert llm.complete(["a"] * 20) == [Answer("at most 64")] * 20
    num_requests = len(server.requests)
    assert num_requests <= 20 + 2 * 4
    assert llm.complete(["a"] * 5) == [Answer("at most 64")] * 5
    assert len(server.requests) == num_requests + 5


def test_complete_quotes_a_provider_that_refuses_all_first_requests(
    serving: Callable[..., ChatServer],
) -> None:
    server = serving(lambda *_: error_reply(400, "model m takes no text"))
    llm = EndpointLLM(endpoint(server.url, concurrency=1))
    assert llm.complete(["a"]) == [Answer("", refusal="400: model m takes no text")]
    with pytest.raises(RefusingEndpointError, match=r"first 8 requests to m \(400: model m takes"):
        llm.complete(["a"] * 50)
    assert len(server.requests) <= 9  # one may be on its way


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "The response was filtered due to the content management policy"),
        (400, "'max_tokens' is too large: 256. This model's maximum context length is 4096 tokens"),
        (413, "Request Entity Too Large"),
    ],
)
def test_complete_goes_on_after_many_refusals_of_the_content(
    serving: Callable[..., ChatServer], status: int, message: str
) -> None:
    server = serving(lambda *_: error_reply(status, message))
    refusal = Answer("", refusal=f"{status}: {message}")
    llm = EndpointLLM(endpoint(server.url, concurrency=4))
    assert llm.complete(["a"] * 20) == [refusal] * 20


def test_complete_refuses_single_requests_after_an_answer(
    serving: Callable[..., ChatServer],
) -> None:
    server = serving(lambda _, n: answer_reply("ok") if n == 1 else error_reply(422, "bad words"))
    llm = EndpointLLM(endpoint(server.url, concurrency=1))
    assert llm.complete(["a"] * 20)[1:] == [Answer("", refusal="422: bad words")] * 19
