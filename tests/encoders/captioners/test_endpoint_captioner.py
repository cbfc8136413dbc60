"""The captioner behind an endpoint: several frames in a message."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.config import EndpointConfig
from exvad.encoders.answers import Answer, CaptionError
from exvad.encoders.captioners.captions import REMEDY
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.endpoint import ChatEndpoint
from tests.helpers.chat_endpoint import ChatServer, answer_reply

CLIPS = np.zeros((2, 3, 8, 8, 3), np.uint8)


def test_caption_clips_sends_the_frames_of_a_clip_in_one_message() -> None:
    server = ChatServer(lambda *_: answer_reply("a fire"))
    endpoint = ChatEndpoint("m", EndpointConfig(base_url=server.url), 64)
    try:
        assert EndpointCaptioner(endpoint, "").caption_clips(list(CLIPS)) == ["a fire"] * 2
    finally:
        server.close()
    types = [part["type"] for part in server.requests[0]["messages"][0]["content"]]
    assert types == ["image_url"] * 3 + ["text"]
    assert len(server.requests) == 2


def test_an_empty_answer_is_an_error() -> None:
    server = ChatServer(lambda *_: answer_reply(""))
    endpoint = ChatEndpoint("m", EndpointConfig(base_url=server.url), 64)
    try:
        with pytest.raises(CaptionError, match=REMEDY):
            EndpointCaptioner(endpoint, "").caption(CLIPS[0])
    finally:
        server.close()


def test_answer_asks_another_prompt_and_keeps_refusals() -> None:
    replies = [answer_reply("Yes."), answer_reply(None, refusal="no")]
    server = ChatServer(lambda _, number: replies[number - 1])
    endpoint = ChatEndpoint("m", EndpointConfig(base_url=server.url, concurrency=1), 64)
    try:
        answers = EndpointCaptioner(endpoint, "Describe.").answer(list(CLIPS), "Is it dark?")
    finally:
        server.close()
    assert answers == [Answer("Yes."), Answer("", refusal="no")]
    texts = [request["messages"][0]["content"][-1]["text"] for request in server.requests]
    assert texts == ["Is it dark?"] * 2
