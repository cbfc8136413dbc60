"""Responses of a compromised decoding process are refused, as are files beyond their limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoding import decode_chunk
from exvad.video.sandbox import DecodingProcess
from exvad.video.sandbox_responses import parse_plan
from tests.helpers.object_store import object_store
from tests.helpers.sandbox import responding
from tests.helpers.videos import write_video

MIB = 2**20


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("answers") / "a.mp4", 100, size=(64, 48))


def valid_plan(video: Path) -> dict[str, Any]:
    """Return the response of an intact process."""
    info, chunks = plan_chunks("a", video, 8, 5)
    plan = {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}
    response: dict[str, Any] = json.loads(json.dumps(plan))
    return response


def test_parse_plan_accepts_a_valid_plan(video: Path) -> None:
    assert parse_plan(valid_plan(video), "a", str(video), 8, 5) == plan_chunks("a", video, 8, 5)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan.pop("chunks"),
        lambda plan: plan["chunks"].pop(),
        lambda plan: plan["chunks"].reverse(),
        lambda plan: plan.update(chunks=3),
        lambda plan: plan["chunks"][0].update(path="/etc/passwd"),
        lambda plan: plan["chunks"][0].update(more=1),
        lambda plan: plan["chunks"][1]["times"].pop(),
        lambda plan: plan["chunks"][1]["times"].insert(0, float("nan")),
        lambda plan: plan["chunks"][1].update(times=["x"] * 5),
        lambda plan: plan["info"].update(path="/etc/passwd"),
        lambda plan: plan["info"].update(fps=0.0),
        lambda plan: plan["info"].update(fps=float("inf")),
        lambda plan: plan["info"].update(fps="25"),
        lambda plan: plan["info"].update(num_frames=10**30),
        lambda plan: plan["info"].update(num_frames=0),
        lambda plan: plan["info"].update(gaps=[[0, float("inf")]]),
        lambda plan: plan["info"].update(gaps=[[0, "x"]]),
        lambda plan: plan["info"].update(gaps=[1]),
        lambda plan: plan["info"].update(notes=3),
        lambda plan: plan["info"].pop("notes"),
        lambda plan: plan["chunks"][0].update(frames=[0, 8]),
        lambda plan: plan["chunks"][1].update(pts=["x"] * 5),
        lambda plan: plan["chunks"][1].update(seeks=[0.5]),
        lambda plan: plan["chunks"][1].update(orientation=8),
        lambda plan: plan["chunks"][1].update(orientation="0"),
        lambda plan: plan["info"].update(width=-1),
        lambda plan: plan["info"].update(codec=[]),
        lambda plan: plan.update(info=None),
    ],
)
def test_parse_plan_refuses_an_inconsistent_plan(
    video: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    response = valid_plan(video)
    change(response)
    command = responding(json.dumps(response) + "\n")
    with (
        DecodingProcess(command=command) as sandbox,
        pytest.raises(DecodingLimitError, match="invalid response"),
    ):
        sandbox.plan("a", video, 8, 5)


@pytest.mark.parametrize("frames", [[], [0], ["x"] * 5, [0.5] * 5, [[0]] * 5])
def test_a_plan_in_seconds_names_the_frame_of_every_snippet(video: Path, frames: list[Any]) -> None:
    arguments = ("a", str(video), 16, 5, 0.32)
    info, chunks = plan_chunks(*arguments)
    plan = {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}
    response = json.loads(json.dumps(plan))
    assert parse_plan(response, *arguments) == (info, chunks)
    response["chunks"][0]["frames"] = frames
    with pytest.raises(ValueError, match="a chunk has"):
        parse_plan(response, *arguments)


@pytest.mark.parametrize(
    "response",
    [
        '{"error": 3}',
        '{"error": []}',
        "[" * 100_000,
        '{"shape": [1, 4, 4, 3], "times": [NaN], "problems": []}',
        '{"shape": [1, 4, 4, 3], "times": ["x"], "problems": []}',
        '{"shape": [1, 4, 4, 3], "times": [0.0], "problems": null}',
    ],
)
def test_other_malformed_responses_are_refused(video: Path, response: str) -> None:
    _, chunks = plan_chunks("a", video, 8, 5)
    with (
        DecodingProcess(command=responding(response + "\n")) as sandbox,
        pytest.raises(DecodingLimitError, match="invalid response"),
    ):
        sandbox.decode(chunks[0])


@pytest.mark.parametrize(
    "wanted", [[0, 10**9], [0, 9 * MIB], [-1, 5], [0, 0], [10**9, 1], [True, 1], [0], "x", None]
)
def test_a_video_in_a_bucket_is_read_within_its_bounds_only(video: Path, wanted: Any) -> None:
    with object_store() as bucket:
        uri = bucket.put("a.mp4", video.read_bytes())
        command = responding(json.dumps({"read": wanted}) + "\n")
        with (
            DecodingProcess(command=command) as sandbox,
            pytest.raises(DecodingLimitError, match="invalid response"),
        ):
            sandbox.plan("a", uri, 8, 5)


def test_parse_reason_shortens_a_long_reason(video: Path) -> None:
    command = responding(json.dumps({"error": "x" * 10**5}) + "\n")
    with DecodingProcess(command=command) as sandbox, pytest.raises(VideoError) as refused:
        sandbox.plan("a", video, 8, 5)
    assert len(str(refused.value)) < 1000


def test_frames_beyond_the_memory_limit_are_refused(video: Path) -> None:
    (chunk,) = plan_chunks("a", video, 1, 256)[1]
    size = decode_chunk(chunk).frames.nbytes
    head = {"shape": [100, 48, 64, 3], "times": [0.0] * 100, "problems": []}
    command = responding(json.dumps(head) + "\n", ends=True)
    with DecodingProcess(max_bytes=8 * size, command=command) as sandbox:
        assert sandbox.decode(chunk).frames.nbytes == size
    with (
        DecodingProcess(max_bytes=8 * size - 8, command=command) as sandbox,
        pytest.raises(DecodingLimitError, match="GiB"),
    ):
        sandbox.decode(chunk)


def test_every_file_has_a_time_limit_for_all_its_chunks(video: Path, tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.mp4", 20)
    with DecodingProcess(file_seconds=0.0) as sandbox:
        _, chunks = sandbox.plan("a", video, 8, 5)
        for _ in range(2):
            with pytest.raises(DecodingLimitError, match="in total"):
                sandbox.decode(chunks[0])
        sandbox.plan("b", other, 8, 5)
        sandbox.plan("a", video, 8, 5)
    with DecodingProcess() as sandbox:
        _, chunks = sandbox.plan("a", video, 8, 5)
        assert [len(sandbox.decode(chunk).frames) for chunk in chunks] == [5, 5, 3]
