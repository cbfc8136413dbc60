"""The protocol of the clients: event lines, retries, parameters and errors."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from exvad.client import ServerError
from exvad.client.protocol import (
    EventReader,
    Retry,
    long_poll_params,
    raise_for_problem,
    submission_params,
)

URL = httpx.URL("http://server")


def test_event_reader_discards_an_incomplete_event_and_yields_it_once() -> None:
    reader = EventReader()
    first = ["id: 1", "event: progress", "data: {}", ""]
    second = ["id: 2", "event: scores", 'data: {"scores": [1]}', ""]
    assert [event.kind for line in first if (event := reader.feed(line))] == ["progress"]
    for num_lines in range(1, 4):
        assert not any(reader.feed(line) for line in second[:num_lines])
        assert reader.resume_headers() == {"Last-Event-ID": "1"}
    (event,) = [event for line in second if (event := reader.feed(line))]
    assert event.data == {"scores": [1]}
    assert reader.resume_headers() == {"Last-Event-ID": "2"}


def test_retry_waits_as_long_as_the_server_asks_or_twice_as_long_each_time() -> None:
    retry = Retry(URL, max_retries=4)
    assert retry.delay_after_response(httpx.Response(200)) is None
    assert retry.delay_after_response(httpx.Response(404)) is None
    busy = httpx.Response(503)
    assert [retry.delay_after_response(busy) for _ in range(2)] == [0.5, 1.0]
    assert retry.delay_after_response(httpx.Response(429, headers={"Retry-After": "7"})) == 7
    assert retry.delay_after_error(httpx.ReadError("reset")) == 4.0
    assert retry.delay_after_response(busy) is None
    with pytest.raises(ConnectionError, match="http://server: no response"):
        retry.delay_after_error(httpx.ReadError("reset"))
    retry.reset()
    assert retry.delay_after_response(busy) == 0.5


def test_retry_never_sends_a_request_twice_that_is_not_repeatable() -> None:
    retry = Retry(URL, max_retries=4, repeatable=False)
    assert retry.delay_after_error(httpx.ConnectError("refused")) == 0.5
    with pytest.raises(ConnectionError, match="reset"):
        retry.delay_after_error(httpx.ReadError("reset"))


def test_submission_params_leave_out_defaults() -> None:
    video = Path("folder/a clip.mp4")
    assert submission_params(video) == {"name": "a clip.mp4"}
    params = submission_params(
        video, {"Queue": ("a line",)}, 0.0, False, "http://hook", ("a yard", "a gate")
    )
    assert json.loads(str(params.pop("categories"))) == {"Queue": ["a line"]}
    assert params == {
        "name": "a clip.mp4", "threshold": "0.0", "explain": "false", "webhook": "http://hook",
        "normal": ["a yard", "a gate"],
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"write a list of scenes, \['a yard'\]"):
        submission_params(video, normal="a yard")


def test_long_poll_params_wait_until_the_deadline_or_for_20_seconds() -> None:
    assert long_poll_params(time.monotonic() + 3600) == {"wait": 20.0}
    assert 1 < long_poll_params(time.monotonic() + 2)["wait"] <= 2
    assert long_poll_params(time.monotonic() - 1) == {"wait": 0.0}


def test_raise_for_problem_raises_the_detail_or_the_status() -> None:
    assert raise_for_problem(httpx.Response(202)).status_code == 202
    with pytest.raises(ServerError, match=r"^too large$") as error:
        raise_for_problem(httpx.Response(413, json={"detail": "too large"}))
    assert error.value.status == 413
    with pytest.raises(ServerError, match=r"^502 Bad Gateway$"):
        raise_for_problem(httpx.Response(502, text="a proxy's page"))
