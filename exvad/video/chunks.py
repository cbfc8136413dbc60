"""Split a video into chunks of snippets that are decoded independently, in any process.

A snippet is one frame of every `stride`. A chunk has the times of its own frames, so its decoder
can seek to them; memory is bounded by the size of a chunk, not by the length of the video.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exvad.video.open_file import OpenFile
from exvad.video.survey import PacketSurvey, VideoInfo, survey_packets


@dataclass(frozen=True)
class Chunk:
    """A part of a video that is decoded on its own.

    Args:
        video_id: the video.
        path: its file.
        chunk: index of the chunk in the video.
        first_snippet: index of its first snippet in the video.
        first_frame: index of that snippet's frame in the video.
        stride: frames from one snippet to the next.
        times: seconds of each snippet's frame since the video's first frame.
        pts: the same in the file's time base; empty if the file's times are unreliable, so that
            frames have to be counted from the start.
        seeks: pts of the keyframe to seek to, and its dts if it differs; empty to start from the
            beginning of the file.
    """

    video_id: str
    path: str
    chunk: int
    first_snippet: int
    first_frame: int
    stride: int
    times: tuple[float, ...]
    pts: tuple[int, ...]
    seeks: tuple[int, ...] = ()

    @property
    def num_snippets(self) -> int:
        """Number of snippets of the chunk."""
        return len(self.times)

    def to_row(self) -> dict[str, Any]:
        """Return plain values that can be sent to other processes."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Chunk:
        """Return the chunk of plain values."""
        # Arrow returns lists as arrays, and FFmpeg accepts only plain integers.
        lists = {name: tuple(np.asarray(row[name]).tolist()) for name in ("times", "pts", "seeks")}
        return cls(**{**row, **lists})


def plan_chunks(
    video_id: str,
    path: str | Path,
    stride: int = 16,
    snippets_per_chunk: int = 256,
    file: OpenFile | None = None,
) -> tuple[VideoInfo, list[Chunk]]:
    """Split a video into chunks.

    Args:
        video_id: the id of the video.
        path: local path or URI.
        stride: frames per snippet.
        snippets_per_chunk: maximum snippets of a chunk.
        file: its content, if another process has opened it.

    Returns:
        The content of the video, and its chunks in order.

    Raises:
        VideoError: the file is missing, empty, not a video, or none of its frames can be decoded.
    """
    survey = survey_packets(path, file)
    snippets = range(0, survey.info.num_frames, stride)
    chunks: list[Chunk] = []
    for first_snippet in range(0, len(snippets), snippets_per_chunk):
        frames = snippets[first_snippet : first_snippet + snippets_per_chunk]
        chunks.append(make_chunk(survey, frames, video_id, len(chunks), first_snippet))
    return survey.info, chunks


def make_chunk(
    survey: PacketSurvey, frames: range, video_id: str = "", chunk: int = 0, first_snippet: int = 0
) -> Chunk:
    """Return the chunk of some frames of a video.

    Args:
        survey: the video.
        frames: indices of the frames, one per snippet; the step is the stride.
        video_id: the id of the video.
        chunk: index of the chunk in the video.
        first_snippet: index of its first snippet in the video.
    """
    indices = np.array(frames)
    pts: tuple[int, ...] = ()
    seeks: tuple[int, ...] = ()
    if survey.pts is not None:
        pts = tuple(survey.pts[indices].tolist())
        keyframe = int(np.searchsorted(survey.keyframes[:, 0], pts[0], side="right")) - 1
        if keyframe > 0:
            # MP4 and Matroska seek by pts, transport streams by dts.
            seeks = tuple(dict.fromkeys(survey.keyframes[keyframe].tolist()))
    return Chunk(
        video_id=video_id,
        path=survey.info.path,
        chunk=chunk,
        first_snippet=first_snippet,
        first_frame=frames[0],
        stride=frames.step,
        times=tuple(survey.seconds[indices].tolist()),
        pts=pts,
        seeks=seeks,
    )
