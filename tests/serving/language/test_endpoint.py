"""Requests go to the endpoint at the same time, as many as the configuration allows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from exvad.config import load_config
from exvad.encoders.answers import Answer
from exvad.encoders.endpoint import EndpointError
from exvad.serving.deployments.explainer import ExplainerDeployment
from tests.helpers.chat_endpoint import ChatServer, Reply, answer_reply

SLOW_SECONDS = 0.6
CLASSES = ("Normal", "Arson")


def slow(body: dict[str, Any], number: int) -> Reply:
    """Answer the first request late and the others at once, all in upper case."""
    time.sleep(SLOW_SECONDS if "slow" in body["messages"][0]["content"] else 0)
    return answer_reply(body["messages"][0]["content"].upper())


@pytest.fixture
def server() -> Iterator[ChatServer]:
    chat_server = ChatServer(slow)
    yield chat_server
    chat_server.close()


def explainer(server: ChatServer, *overrides: str) -> Any:
    """Return the explainer of the server, without Ray."""
    config = load_config(
        "demo", ["llm.backend=openai", f"llm.endpoint.base_url={server.url}", *overrides]
    )
    deployment: Any = ExplainerDeployment
    return deployment.func_or_class(config, CLASSES)


def test_a_second_request_does_not_wait_for_a_slow_one(server: ChatServer) -> None:
    model = explainer(server)
    ended: list[str] = []

    async def ask(text: str) -> list[Answer]:
        answers: list[Answer] = await model.complete([text])
        ended.append(text)
        return answers

    async def both() -> list[list[Answer]]:
        first = asyncio.create_task(ask("slow"))
        while not server.requests:
            await asyncio.sleep(0.01)
        return [await first, await ask("quick")] if ended else [await ask("quick"), await first]

    assert asyncio.run(both()) == [[Answer("QUICK")], [Answer("SLOW")]]
    assert ended == ["quick", "slow"]


def test_callers_share_the_bound_on_requests(server: ChatServer) -> None:
    model = explainer(server, "llm.endpoint.concurrency=3")

    async def many() -> list[list[Answer]]:
        return list(await asyncio.gather(*(model.complete([f"slow {n}"] * 2) for n in range(4))))

    answers = asyncio.run(many())
    assert answers == [[Answer(f"SLOW {n}")] * 2 for n in range(4)]
    assert server.max_concurrent == 3


def event(delta: dict[str, str], reason: str | None = None) -> bytes:
    """Return a server-sent event with a piece of an answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def streaming_server(*events: bytes) -> ChatServer:
    """Start a server that answers with a stream of events."""
    headers = {"Content-Type": "text/event-stream; charset=utf-8"}
    return ChatServer(lambda body, number: (200, b"".join(events), headers))


def test_words_are_reported_while_the_endpoint_writes() -> None:
    server = streaming_server(
        event({"role": "assistant", "content": ""}),
        event({"content": "a "}),
        b": keep-alive\n\n",
        event({"content": "fire"}),
        event({}, "stop"),
        b"data: [DONE]\n\n",
    )
    texts: list[str] = []
    model = explainer(server)
    answer = model._llm._endpoint.chat_once([{"role": "user", "content": "?"}], texts.append)
    server.close()
    assert answer == Answer("a fire")
    assert texts == ["a ", "a fire"]
    assert server.requests[0]["stream"] is True


def test_an_answer_that_is_cut_off_or_refused_in_a_stream_is_marked() -> None:
    cut_off = streaming_server(event({"content": "a"}, "length"), b"data: [DONE]\n\n")
    (answer,) = asyncio.run(explainer(cut_off, "llm.max_new_tokens=7").complete(["?"]))
    cut_off.close()
    assert answer == Answer("a", 7)
    refused = streaming_server(event({"refusal": "I can't."}), event({}, "stop"))
    (answer,) = asyncio.run(explainer(refused).complete(["?"]))
    refused.close()
    assert answer == Answer("", refusal="I can't.")


def test_a_stream_that_breaks_off_is_asked_for_again_until_patience_ends() -> None:
    server = streaming_server(event({"content": "half an"}))
    model = explainer(server, "llm.endpoint.patience=0.8")
    with pytest.raises(EndpointError, match="the answer broke off"):
        asyncio.run(model.complete(["?"]))
    server.close()
    assert len(server.requests) > 1
