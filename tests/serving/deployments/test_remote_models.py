"""A call is repeated while a crashed replica is replaced, and raises the errors of the method."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError

from exvad.encoders.answers import Answer
from exvad.serving.deployments.remote_models import call, call_streaming
from exvad.serving.workers.errors import NoReplicaError


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.serving.deployments.remote_models.RETRY_SECONDS", 0)


class FakeHandle:
    """A handle whose method `complete` raises errors, one per call, before it answers.

    Args:
        errors: the errors.
    """

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.complete = SimpleNamespace(remote=self._call)

    def _call(self, prompts: list[str]) -> Any:
        def result() -> list[str]:
            if self._errors:
                raise self._errors.pop(0)
            return [prompt.upper() for prompt in prompts]

        return SimpleNamespace(result=result)


def call_complete(handle: Any) -> Any:
    return call(handle, "complete", ["a", "b"])


def test_call_is_repeated_after_a_replica_crashed() -> None:
    assert call_complete(FakeHandle(RayActorError(), RayActorError())) == ["A", "B"]


def broken_gpu() -> RayTaskError:
    return RayTaskError("complete", "traceback", RuntimeError("CUDA error: device-side assert"))


def test_call_is_repeated_while_a_replica_with_a_broken_gpu_is_replaced() -> None:
    assert call_complete(FakeHandle(broken_gpu(), RayActorError(), broken_gpu())) == ["A", "B"]


def test_call_gives_up_while_every_gpu_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.serving.deployments.remote_models.MAX_OUTAGE_SECONDS", -1.0)
    with pytest.raises(NoReplicaError, match="no replica has answered complete"):
        call_complete(FakeHandle(broken_gpu()))


def test_call_gives_up_after_a_long_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.serving.deployments.remote_models.MAX_OUTAGE_SECONDS", -1.0)
    with pytest.raises(NoReplicaError, match="no replica has answered complete"):
        call_complete(FakeHandle(RayActorError()))


def test_call_raises_the_error_of_the_method() -> None:
    error = RayTaskError("complete", "traceback", ValueError("the prompt is too long"))
    with pytest.raises(ValueError, match="the prompt is too long"):
        call_complete(FakeHandle(error))


def test_call_streaming_reports_partial_answers() -> None:
    def stream(prompts: list[str]) -> Iterator[list[Answer]]:
        yield [Answer("a"), Answer("")]
        yield [Answer("a fire"), Answer("no")]

    options = SimpleNamespace(stream=SimpleNamespace(remote=stream))
    handle: Any = SimpleNamespace(options=lambda **_: options)
    reported: list[tuple[int, str]] = []
    answers = call_streaming(handle, ["1", "2"], lambda *partial: reported.append(partial))
    assert answers == [Answer("a fire"), Answer("no")]
    assert reported == [(0, "a"), (1, ""), (0, "a fire"), (1, "no")]
