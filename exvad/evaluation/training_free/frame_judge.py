"""VERA's judge that looks at frames: a vision-language model, as where VERA was published.

N windows · M frames of a window · F frames · H, W pixels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.prompts import load_prompt
from exvad.evaluation.training_free.vera import question_lines
from exvad.video.container import DEFAULT_FPS
from exvad.video.decoding import read_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.answers import Answer
    from exvad.encoders.protocols import ClipAnswerer
    from exvad.store.feature_bank import VideoFeatures

FrameReader = Callable[["VideoFeatures", "NDArray[np.intp]"], "Sequence[NDArray[np.uint8]]"]
SHORT_SIDE = 448
WINDOWS_AT_ONCE = 32


class FrameJudge:
    """A vision-language model that looks at the frames of each part.

    Memory holds the frames of 32 parts.

    Args:
        model: the model, such as a captioner for clips of `backend=openai`.
        read: returns the frames of snippets of a video, such as `file_reader`.
    """

    def __init__(self, model: ClipAnswerer, read: FrameReader) -> None:
        self.model, self.read = model, read
        self._prompt = load_prompt("training_free/vera_judge_frames")

    def answer(
        self, video: VideoFeatures, rows_NM: NDArray[np.intp], questions: Sequence[str]
    ) -> list[Answer]:
        """Return an answer with a verdict for each part; see `Judge.answer`."""
        prompt = self._prompt.fill(questions=question_lines(questions))
        answers: list[Answer] = []
        for start in range(0, len(rows_NM), WINDOWS_AT_ONCE):
            rows_nM = rows_NM[start : start + WINDOWS_AT_ONCE]
            shown_F, place_nM = np.unique(rows_nM, return_inverse=True)
            frames = self.read(video, shown_F)
            clips = [
                np.stack([frames[place] for place in sorted(set(places))])
                for places in place_nM.reshape(rows_nM.shape).tolist()
            ]
            answers += self.model.answer(clips, prompt)
        return answers


def file_reader(
    paths: Mapping[str, str | Path], short_side: int = SHORT_SIDE, folder_fps: float = DEFAULT_FPS
) -> FrameReader:
    """Return a reader of frames from video files, for `FrameJudge`.

    Args:
        paths: video id → its file, a local path or URI.
        short_side: larger frames are scaled down to this many pixels on the shorter side.
        folder_fps: frames per second of a video that is a folder of frames.
    """

    def read(video: VideoFeatures, snippets_F: NDArray[np.intp]) -> Sequence[NDArray[np.uint8]]:
        if video.video_id not in paths:
            raise ValueError(
                f"there is no file of {video.video_id}, whose frames are to be looked at: set "
                "data.root, or let VERA read captions"
            )
        times = np.asarray(video.times)[snippets_F].tolist()
        return read_frames(paths[video.video_id], times, short_side, folder_fps)

    return read
