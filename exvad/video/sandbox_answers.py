"""What a decoding process may answer: anything else is nonsense, however it came to say it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exvad.video.chunks import MAX_PIXELS, Chunk, VideoInfo

LONGEST_TEXT = 500  # characters of what it says in words
MOST_PROBLEMS = 20


def checked_reason(told: Any) -> str:
    """Return why a file is refused.

    Raises:
        ValueError: that is no text.
    """
    if not isinstance(told, str):
        raise ValueError("the reason is no text")
    return told[:LONGEST_TEXT]


def checked_plan(
    told: dict[str, Any], video_id: str, path: str, stride: int, snippets_per_chunk: int
) -> tuple[VideoInfo, list[Chunk]]:
    """Return a plan that has the shape of the question.

    Args:
        told: the answer.
        video_id: what was asked, as the other ones.
        path: of the file.
        stride: frames per snippet.
        snippets_per_chunk: most snippets of a chunk.

    Raises:
        ValueError: it is no plan of that file, or contradicts itself.
    """
    try:
        info = VideoInfo(**told["info"])
        chunks = [Chunk.from_row(row) for row in told["chunks"]]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("no plan") from error
    counts = (info.num_frames, info.width, info.height)
    right = info.path == path and isinstance(info.codec, str)
    right = right and all(type(each) is int and each > 0 for each in counts)
    right = right and all(
        isinstance(each, float) and 0 < each < math.inf for each in (info.fps, info.duration)
    )
    snippets = 0
    for number, chunk in enumerate(chunks):
        own = (chunk.video_id, chunk.path, chunk.chunk, chunk.first_snippet, chunk.stride)
        right = right and own == (video_id, path, number, snippets, stride)
        right = right and 1 <= chunk.num_snippets <= snippets_per_chunk
        right = (
            right and np.array(chunk.times).dtype == float and bool(np.isfinite(chunk.times).all())
        )
        snippets += chunk.num_snippets
    if not right or snippets != -(-info.num_frames // stride):
        raise ValueError("the plan contradicts itself")
    return info, chunks


def checked_frames(
    told: dict[str, Any], chunk: Chunk
) -> tuple[tuple[int, ...], NDArray[np.float64], list[str]]:
    """Return the shape and the times of a chunk's pictures, and what is wrong with them.

    Raises:
        ValueError: they can't be that chunk's.
    """
    try:
        shape = tuple(int(side) for side in told["shape"])
        times_t = np.asarray(told["times"], np.float64)
        problems = [str(each)[:LONGEST_TEXT] for each in list(told["problems"])[:MOST_PROBLEMS]]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("no pictures") from error
    right = len(shape) == 4 and min(shape) >= 1 and shape[3] == 3
    right = right and times_t.shape == shape[:1] and bool(np.isfinite(times_t).all())
    if not right or shape[0] > chunk.num_snippets or shape[1] * shape[2] > MAX_PIXELS:
        raise ValueError("the pictures are not those of the chunk")
    return shape, times_t, problems


def checked_shapes(told: dict[str, Any], count: int) -> list[tuple[int, ...]]:
    """Return the shapes of so many pictures.

    Raises:
        ValueError: they are others, or no pictures.
    """
    try:
        shapes = [tuple(int(side) for side in shape) for shape in told["shapes"]]
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("no pictures") from error
    for shape in shapes:
        right = len(shape) == 3 and min(shape) >= 1 and shape[2] == 3
        if not right or shape[0] * shape[1] > MAX_PIXELS:
            raise ValueError("no picture has that shape")
    if len(shapes) != count:
        raise ValueError("there are more or fewer pictures than were asked for")
    return shapes
