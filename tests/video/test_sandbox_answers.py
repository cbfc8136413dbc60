"""What a decoding process that was taken over may say, and how much time and memory a file gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoding import decode_chunk
from exvad.video.sandbox import DecodingProcess
from exvad.video.sandbox_answers import checked_plan
from tests.helpers.videos import write_video

MIB = 2**20


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("answers") / "a.mp4", 100, size=(64, 48))


def plan(video: Path) -> dict[str, Any]:
    """The answer an honest process gives."""
    info, chunks = plan_chunks("a", video, 8, 5)
    told = {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}
    copy: dict[str, Any] = json.loads(json.dumps(told))
    return copy


def saying(words: str) -> list[str]:
    program = f"import sys\nfor line in sys.stdin: sys.stdout.write({words!r}); sys.stdout.flush()"
    return [sys.executable, "-c", program]


def test_an_honest_plan_is_taken(video: Path) -> None:
    assert checked_plan(plan(video), "a", str(video), 8, 5) == plan_chunks("a", video, 8, 5)


@pytest.mark.parametrize(
    "lie",
    [
        lambda told: told.pop("chunks"),
        lambda told: told["chunks"].pop(),
        lambda told: told["chunks"].reverse(),
        lambda told: told.update(chunks=3),
        lambda told: told["chunks"][0].update(path="/etc/passwd"),
        lambda told: told["chunks"][0].update(more=1),
        lambda told: told["chunks"][1]["times"].pop(),
        lambda told: told["chunks"][1]["times"].insert(0, float("nan")),
        lambda told: told["chunks"][1].update(times=["x"] * 5),
        lambda told: told["info"].update(path="/etc/passwd"),
        lambda told: told["info"].update(fps=0.0),
        lambda told: told["info"].update(fps=float("inf")),
        lambda told: told["info"].update(fps="25"),
        lambda told: told["info"].update(num_frames=10**30),
        lambda told: told["info"].update(num_frames=0),
        lambda told: told["info"].update(width=-1),
        lambda told: told["info"].update(codec=[]),
        lambda told: told.update(info=None),
    ],
)
def test_a_plan_that_contradicts_itself_is_nonsense(
    video: Path, lie: Callable[[dict[str, Any]], Any]
) -> None:
    told = plan(video)
    lie(told)
    command = saying(json.dumps(told) + "\n")
    with (
        DecodingProcess(command=command) as box,
        pytest.raises(DecodingLimitError, match="nonsense"),
    ):
        box.plan("a", video, 8, 5)


@pytest.mark.parametrize(
    "words",
    [
        '{"error": 3}',
        '{"error": []}',
        "[" * 100_000,
        '{"shape": [1, 4, 4, 3], "times": [NaN], "problems": []}',
        '{"shape": [1, 4, 4, 3], "times": ["x"], "problems": []}',
        '{"shape": [1, 4, 4, 3], "times": [0.0], "problems": null}',
    ],
)
def test_other_answers_are_nonsense_too(video: Path, words: str) -> None:
    _, chunks = plan_chunks("a", video, 8, 5)
    with (
        DecodingProcess(command=saying(words + "\n")) as box,
        pytest.raises(DecodingLimitError, match="nonsense"),
    ):
        box.decode(chunks[0])


def test_a_long_reason_is_cut_short(video: Path) -> None:
    command = saying(json.dumps({"error": "x" * 10**5}) + "\n")
    with DecodingProcess(command=command) as box, pytest.raises(VideoError) as refused:
        box.plan("a", video, 8, 5)
    assert len(str(refused.value)) < 1000


def test_pictures_that_this_process_should_not_hold_are_refused(video: Path) -> None:
    (chunk,) = plan_chunks("a", video, 1, 256)[1]
    size = decode_chunk(chunk).frames.nbytes
    program = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        f"    told = {{'shape': [100, 48, 64, 3], 'times': [0.0] * 100, 'problems': []}}\n"
        f"    sys.stdout.write(json.dumps(told) + '\\n' + 'x' * {size}); sys.stdout.flush()\n"
    )
    command = [sys.executable, "-c", program]
    with DecodingProcess(max_bytes=8 * size, command=command) as box:
        assert box.decode(chunk).frames.nbytes == size
    with (
        DecodingProcess(max_bytes=8 * size - 8, command=command) as box,
        pytest.raises(DecodingLimitError, match="GiB"),
    ):
        box.decode(chunk)


def test_a_file_has_a_time_for_all_its_chunks_and_others_have_their_own(
    video: Path, tmp_path: Path
) -> None:
    other = write_video(tmp_path / "other.mp4", 20)
    with DecodingProcess(file_seconds=0.0) as box:
        _, chunks = box.plan("a", video, 8, 5)
        for _ in range(2):
            with pytest.raises(DecodingLimitError, match="all in all"):
                box.decode(chunks[0])
        box.plan("b", other, 8, 5)
        box.plan("a", video, 8, 5)
    with DecodingProcess() as box:
        _, chunks = box.plan("a", video, 8, 5)
        assert [len(box.decode(chunk).frames) for chunk in chunks] == [5, 5, 3]
