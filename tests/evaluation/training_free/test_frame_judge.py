"""VERA with a model that looks at frames: which frames, one prompt, and an endpoint.

M frames of a window · H, W pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.baselines.common.smoothing import PostProcessing
from exvad.config import EndpointConfig
from exvad.encoders.answers import Answer
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.endpoint import ChatEndpoint
from exvad.evaluation.training_free.frame_judge import FrameJudge, file_reader
from exvad.evaluation.training_free.vera import Vera, VeraSettings
from exvad.store.feature_bank import VideoFeatures
from tests.helpers.captioned import captioned_video
from tests.helpers.chat_endpoint import ChatServer, Reply, answer_reply, error_reply
from tests.helpers.videos import read_indices, write_video

PLAIN = VeraSettings(after=PostProcessing(share=0, width=0))


def bright_frames(video: VideoFeatures, snippets_F: NDArray[np.intp]) -> list[NDArray[np.uint8]]:
    """Frames as bright as the number of their snippet."""
    return [np.full((4, 6, 3), snippet, np.uint8) for snippet in snippets_F]


class BrightnessModel:
    """Finds parts abnormal whose brightest frame is at least 30."""

    def __init__(self) -> None:
        self.clips: list[NDArray[np.uint8]] = []
        self.prompts: list[str] = []

    def answer(self, clips: Sequence[NDArray[np.uint8]], prompt: str) -> list[Answer]:
        """Return a verdict on each clip."""
        self.clips += clips
        self.prompts.append(prompt)
        return [Answer(f"Verdict: {int(clip.max() >= 30)}") for clip in clips]


def test_frame_judge_shows_the_frames_of_each_window_in_order_of_time() -> None:
    model = BrightnessModel()
    video = captioned_video(["a room"] * 40, captioned=())
    result = Vera(FrameJudge(model, bright_frames), ["Is it bright?"], PLAIN).score([video])
    np.testing.assert_array_equal(result.predictions[0].scores_T, np.arange(40) >= 25)
    assert len(model.clips) == 40
    assert [int(frame.max()) for frame in model.clips[0]] == [0, 1, 2, 3, 4, 5]
    assert [int(frame.max()) for frame in model.clips[20]] == [15, 16, 18, 19, 21, 22, 24, 25]
    # Windows go to the model in groups.
    assert len(model.prompts) == 2
    assert "- Is it bright?" in model.prompts[0]


def test_frames_come_from_the_file_at_the_times_of_the_snippets(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 40, size=(64, 48))
    video = captioned_video(["a room"] * 4, seconds=0.4, captioned=())
    frames = file_reader({"v": path}, short_side=32)(video, np.array([0, 1, 3]))
    assert min(frames[0].shape[:2]) == 32
    assert read_indices(frames) == [0, 10, 30]


def test_a_video_without_a_file_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="no file of v, whose frames"):
        file_reader({})(captioned_video(["a room"]), np.array([0]))


def test_frame_judge_asks_an_endpoint_and_refusals_are_counted() -> None:
    def answer(body: dict[str, Any], number: int) -> Reply:
        content = body["messages"][0]["content"]
        images = [part for part in content if part["type"] == "image_url"]
        asked = "Is it bright?" in content[-1]["text"]
        if len(images) < 8:
            return error_reply(400, "blocked by the content policy")
        return answer_reply(f"I saw {len(images)} frames.\nVerdict: {int(asked)}")

    server = ChatServer(answer)
    try:
        endpoint = ChatEndpoint("m", EndpointConfig(base_url=server.url), 512)
        judge = FrameJudge(EndpointCaptioner(endpoint, "unused"), bright_frames)
        result = Vera(judge, ["Is it bright?"], PLAIN).score([captioned_video(["a room"] * 20)])
    finally:
        server.close()
    np.testing.assert_array_equal(result.predictions[0].scores_T, np.ones(20))
    # The first and the last two windows are shorter than eight snippets.
    assert result.answers["verdicts"].refused == 4
    assert "content policy" in result.notes()[0]
