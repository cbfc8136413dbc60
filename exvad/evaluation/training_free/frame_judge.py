"""VERA's judge that looks at frames: a vision-language model, as where VERA was published.

N windows · M frames of a window · F frames · H, W pixels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, islice
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
    from exvad.evaluation.training_free.vera import VideoParts
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

    def answer(self, shown: Sequence[VideoParts], questions: Sequence[str]) -> list[Answer]:
        """Return an answer with a verdict for each part; see `Judge.answer`."""
        prompt = self._prompt.fill(questions=question_lines(questions))
        parts = ((video, rows_M) for video, rows_NM in shown for rows_M in rows_NM)
        answers: list[Answer] = []
        while group := list(islice(parts, WINDOWS_AT_ONCE)):
            clips: list[NDArray[np.uint8]] = []
            for _, of_video in groupby(group, key=lambda part: part[0].video_id):
                clips += self._clips(list(of_video))
            answers += self.model.answer(clips, prompt)
        return answers

    def _clips(
        self, parts: Sequence[tuple[VideoFeatures, NDArray[np.intp]]]
    ) -> list[NDArray[np.uint8]]:
        """Return the frames of parts of one video; a frame that several show is read once."""
        video, _ = parts[0]
        rows_nM = np.stack([rows_M for _, rows_M in parts])
        shown_F, place_nM = np.unique(rows_nM, return_inverse=True)
        frames = self.read(video, shown_F)
        return [
            np.stack([frames[place] for place in np.unique(place_M)])
            for place_M in place_nM.reshape(rows_nM.shape)
        ]


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
