"""Split a video into chunks of snippets that are decoded independently, in any process.

A snippet is represented by its first frame; see `exvad.video.footage.sampling`. A chunk has the
times of its own frames, so its decoder can seek to them; memory is bounded by the size of a chunk,
not by the length of the video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.video.container import DEFAULT_FPS
from exvad.video.footage.clock_points import clock_points
from exvad.video.footage.sampling import Sampling
from exvad.video.open_file import OpenFile
from exvad.video.survey import PacketSurvey, VideoInfo, survey_packets

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Chunk:
    """A part of a video that is decoded on its own.

    Args:
        video_id: the video.
        path: its file.
        chunk: index of the chunk in the video.
        first_snippet: index of its first snippet in the video.
        first_frame: index of that snippet's frame in the video.
        stride: frames from one snippet to the next, if `frames` is empty.
        times: seconds of each snippet's frame since the video's first frame.
        pts: the same in the file's time base; empty if the file's times are unreliable, so that
            frames have to be counted from the start.
        seeks: pts of the keyframe to seek to, and its dts if it differs; empty to start from the
            beginning of the file.
        frames: indices in the video of each snippet's frame, if they are not every `stride`-th.
        clock: points of the video's clock from its first frame on, frame and second by turns; see
            `exvad.video.footage.clock_points`.
        orientation: that of the video's first frame; see `exvad.video.footage.picture.Geometry`.
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
    frames: tuple[int, ...] = ()
    clock: tuple[float, ...] = ()
    orientation: int = 0

    @property
    def frame_indices(self) -> Sequence[int]:
        """Index in the video of each snippet's frame."""
        stop = self.first_frame + self.num_snippets * self.stride
        return self.frames or range(self.first_frame, stop, self.stride)

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
        columns = ("times", "pts", "seeks", "frames", "clock")
        return cls(**{**row, **{name: tuple(np.asarray(row[name]).tolist()) for name in columns}})


def plan_chunks(
    video_id: str,
    path: str | Path,
    stride: int = 16,
    snippets_per_chunk: int = 256,
    stride_seconds: float = 0.0,
    folder_fps: float = DEFAULT_FPS,
    file: OpenFile | None = None,
) -> tuple[VideoInfo, list[Chunk]]:
    """Split a video into chunks.

    Args:
        video_id: the id of the video.
        path: local path or URI.
        stride: frames per snippet.
        snippets_per_chunk: maximum snippets of a chunk.
        stride_seconds: seconds per snippet, in place of `stride`; 0 to count frames.
        folder_fps: frames per second of a video that is a folder of frames.
        file: its content, if another process has opened it.

    Returns:
        The content of the video, and its chunks in order.

    Raises:
        VideoError: the file is missing, empty, not a video, or none of its frames can be decoded.
    """
    survey = survey_packets(path, folder_fps, file)
    frames = Sampling(stride, stride_seconds).choose(survey.seconds)
    info = survey.info
    clock_k2 = clock_points(survey.seconds, info.fps, info.duration, info.gaps, frames)
    chunks: list[Chunk] = []
    for first_snippet in range(0, len(frames), snippets_per_chunk):
        chosen = frames[first_snippet : first_snippet + snippets_per_chunk]
        chunk = make_chunk(survey, chosen, video_id, len(chunks), first_snippet, stride)
        listed = tuple(chosen.tolist()) if stride_seconds else ()
        is_last = first_snippet + snippets_per_chunk >= len(frames)
        end = np.inf if is_last else frames[first_snippet + snippets_per_chunk]
        is_here_k = (clock_k2[:, 0] >= chosen[0]) & (clock_k2[:, 0] < end)
        clock = tuple(clock_k2[is_here_k].ravel().tolist())
        chunks.append(replace(chunk, frames=listed, clock=clock))
    return survey.info, chunks


def make_chunk(
    survey: PacketSurvey,
    frames: NDArray[np.int64],
    video_id: str = "",
    chunk: int = 0,
    first_snippet: int = 0,
    stride: int = 1,
) -> Chunk:
    """Return the chunk of some frames of a video.

    Args:
        survey: the video.
        frames: indices of the frames, one per snippet, `stride` apart.
        video_id: the id of the video.
        chunk: index of the chunk in the video.
        first_snippet: index of its first snippet in the video.
        stride: frames from one snippet to the next.
    """
    pts: tuple[int, ...] = ()
    seeks: tuple[int, ...] = ()
    if survey.pts is not None:
        pts = tuple(survey.pts[frames].tolist())
        keyframe = int(np.searchsorted(survey.keyframes[:, 0], pts[0], side="right")) - 1
        if keyframe > 0:
            # MP4 and Matroska seek by pts, transport streams by dts.
            seeks = tuple(dict.fromkeys(survey.keyframes[keyframe].tolist()))
    return Chunk(
        video_id=video_id,
        path=survey.info.path,
        chunk=chunk,
        first_snippet=first_snippet,
        first_frame=int(frames[0]),
        stride=stride,
        times=tuple(survey.seconds[frames].tolist()),
        pts=pts,
        seeks=seeks,
        orientation=survey.orientation,
    )
