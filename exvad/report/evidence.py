"""Evidence frames: the captioned frames that show what an analysis says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from exvad.video.decoding import read_frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.results import Analysis

JPEG_QUALITY = 72


class ReadFrames(Protocol):
    """Decodes single frames; see `exvad.video.decoding.read_frames`."""

    def __call__(
        self,
        path: str | Path,
        times: Sequence[float],
        short_side: int | None = None,
        folder_fps: float = ...,
    ) -> list[NDArray[np.uint8]]:
        """Return the RGB frames that are shown at given times, uint8 [H, W, 3] each."""
        ...


def evidence_frames(
    path: str | Path,
    analysis: Analysis,
    limit: int = 6,
    short_side: int = 160,
    read: ReadFrames = read_frames,
) -> dict[int, bytes]:
    """Read the most telling captioned frames of a video as small JPEG images.

    Frames that the explanation cites come first, then frames inside events, then all others.
    Within each group they are evenly spaced.

    Args:
        path: the analyzed video file.
        analysis: its analysis.
        limit: maximum number of frames.
        short_side: pixels of the shorter side; smaller frames keep their size.
        read: decodes frames.

    Returns:
        JPEG bytes by 1-based caption number, in time order.

    Raises:
        VideoError: the file is not a readable video.
    """
    numbers = _choose_captions(analysis, limit)
    times = [analysis.captions[number - 1].time for number in numbers]
    return {
        number: _to_jpeg(frame)
        for number, frame in zip(numbers, read(path, times, short_side, analysis.fps), strict=True)
    }


def _choose_captions(analysis: Analysis, limit: int) -> list[int]:
    every = range(1, len(analysis.captions) + 1)
    cited = analysis.explanation.evidence if analysis.explanation else []
    inside = [number for event in analysis.events for number in event.captions]
    chosen: set[int] = set()
    for group in (cited, inside, every):
        candidates = sorted({number for number in group if number in every} - chosen)
        chosen |= set(_evenly_spaced(candidates, limit - len(chosen)))
    return sorted(chosen)


def _evenly_spaced(numbers: Sequence[int], count: int) -> Sequence[int]:
    if count >= len(numbers):
        return numbers
    return [numbers[int((index + 0.5) * len(numbers) / count)] for index in range(count)]


def _to_jpeg(frame: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()
