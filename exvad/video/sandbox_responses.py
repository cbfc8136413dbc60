"""Validate the responses of a decoding process, which a hostile file may have taken over.

t snippets of a chunk
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exvad.video.chunks import Chunk
from exvad.video.survey import MAX_PIXELS, VideoInfo

MAX_TEXT = 500  # characters of a reason or a problem
MAX_PROBLEMS = 20


def parse_reason(reason: Any) -> str:
    """Return the reason why a file is refused, shortened.

    Raises:
        ValueError: it is not text.
    """
    if not isinstance(reason, str):
        raise ValueError("the reason is not text")
    return reason[:MAX_TEXT]


def parse_plan(
    response: dict[str, Any],
    video_id: str,
    path: str,
    stride: int,
    snippets_per_chunk: int,
    stride_seconds: float = 0.0,
) -> tuple[VideoInfo, list[Chunk]]:
    """Return the plan of a response.

    Args:
        response: the response.
        video_id: argument of the request, as the ones below.
        path: the file.
        stride: frames per snippet.
        snippets_per_chunk: maximum snippets of a chunk.
        stride_seconds: seconds per snippet, in place of `stride`; 0 to count frames.

    Raises:
        ValueError: it is not a plan, not of this request, or inconsistent.
    """
    try:
        info = _parse_info(response["info"])
        chunks = [Chunk.from_row(row) for row in response["chunks"]]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("not a plan") from error
    if info.path != path or not _is_plausible(info):
        raise ValueError("the description of the video is not valid")
    first_snippet = 0
    for index, chunk in enumerate(chunks):
        position = (chunk.video_id, chunk.path, chunk.chunk, chunk.first_snippet, chunk.stride)
        if position != (video_id, path, index, first_snippet, stride):
            raise ValueError("a chunk has the wrong position")
        if not 1 <= chunk.num_snippets <= snippets_per_chunk:
            raise ValueError("a chunk has the wrong number of snippets")
        times_t = np.array(chunk.times)
        if times_t.dtype != float or not np.isfinite(times_t).all():
            raise ValueError("a chunk has times that are not finite numbers")
        is_finite = all(type(value) is float and math.isfinite(value) for value in chunk.clock)
        if len(chunk.clock) % 2 or not is_finite:
            raise ValueError("a chunk has a clock that is not of pairs of finite numbers")
        first_snippet += chunk.num_snippets
        if len(chunk.frames) != (chunk.num_snippets if stride_seconds else 0):
            raise ValueError("a chunk has the wrong number of frames")
        if any(type(value) is not int for value in (*chunk.frames, *chunk.pts, *chunk.seeks)):
            raise ValueError("a chunk has frames or times that are not whole numbers")
        if type(chunk.orientation) is not int or not 0 <= chunk.orientation < 8:
            raise ValueError("a chunk has no possible orientation")
    expected = -(-info.num_frames // stride)
    if not 0 < first_snippet <= info.num_frames or (
        first_snippet != expected and not stride_seconds
    ):
        raise ValueError("the chunks do not cover the video")
    return info, chunks


def parse_frames(
    response: dict[str, Any], chunk: Chunk
) -> tuple[tuple[int, ...], NDArray[np.float64], list[str]]:
    """Return the shape [t, H, W, 3] of a chunk's frames, their times [t] and their problems.

    Raises:
        ValueError: they can't be the frames of the chunk.
    """
    try:
        shape = tuple(int(side) for side in response["shape"])
        times_t = np.asarray(response["times"], np.float64)
        problems = [str(text)[:MAX_TEXT] for text in list(response["problems"])[:MAX_PROBLEMS]]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("no frames") from error
    if len(shape) != 4 or not _is_frame_shape(shape[1:]):
        raise ValueError("the frames have an impossible shape")
    if not 1 <= shape[0] <= chunk.num_snippets:
        raise ValueError("the frames are not those of the chunk")
    if times_t.shape != shape[:1] or not np.isfinite(times_t).all():
        raise ValueError("the times are not those of the frames")
    return shape, times_t, problems


def parse_shapes(response: dict[str, Any], count: int) -> list[tuple[int, ...]]:
    """Return the shapes [H, W, 3] of `count` frames.

    Raises:
        ValueError: they are not the shapes of `count` frames.
    """
    try:
        shapes = [tuple(int(side) for side in shape) for shape in response["shapes"]]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("no frames") from error
    if not all(_is_frame_shape(shape) for shape in shapes):
        raise ValueError("a frame has an impossible shape")
    if len(shapes) != count:
        raise ValueError(f"{len(shapes)} frames instead of {count}")
    return shapes


def _parse_info(content: dict[str, Any]) -> VideoInfo:
    """Return the description of a video.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    notes = [str(note)[:MAX_TEXT] for note in list(content["notes"])[:MAX_PROBLEMS]]
    gaps = [(float(start), float(end)) for start, end in content["gaps"]]
    if not np.isfinite(np.array(gaps)).all():
        raise ValueError("a gap has times that are not finite numbers")
    lead = float(content["lead"])
    if not 0 <= lead < math.inf:
        raise ValueError("the first frame has no possible time")
    return VideoInfo(**{**content, "notes": tuple(notes), "gaps": tuple(gaps), "lead": lead})


def _is_plausible(info: VideoInfo) -> bool:
    counts = (info.num_frames, info.width, info.height)
    return (
        isinstance(info.codec, str)
        and all(type(count) is int and count > 0 for count in counts)
        and all(
            isinstance(value, float) and 0 < value < math.inf for value in (info.fps, info.duration)
        )
    )


def _is_frame_shape(shape: tuple[int, ...]) -> bool:
    return (
        len(shape) == 3 and min(shape) >= 1 and shape[2] == 3 and shape[0] * shape[1] <= MAX_PIXELS
    )
