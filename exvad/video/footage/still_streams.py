"""Video streams that hold a single picture, such as a cover, though nothing marks them as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_IMAGE_CODECS = ("mjpeg", "png", "apng", "bmp", "webp", "tiff", "gif")
_MAX_SECONDS = 0.2  # that a picture lasts, if a duration is given at all


def without_stills(streams: Sequence[VideoStream]) -> list[VideoStream]:
    """Return the streams that hold more than one picture; all of them if none does.

    Args:
        streams: video streams of one file.
    """
    return [stream for stream in streams if not _is_still(stream)] or list(streams)


def _is_still(stream: VideoStream) -> bool:
    codec = stream.codec_context
    if codec is None or codec.codec.canonical_name not in _IMAGE_CODECS:
        return False
    return stream.frames == 1 or _lasts_a_moment(stream.metadata.get("DURATION", ""))


def _lasts_a_moment(duration: str) -> bool:
    """Return whether a tag of Matroska, such as 00:00:00.040000000, says so."""
    try:
        hours, minutes, seconds = (float(part) for part in duration.split(":"))
    except ValueError:
        return False
    return 0 < hours * 3600 + minutes * 60 + seconds <= _MAX_SECONDS
