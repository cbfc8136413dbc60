"""Frames and notices of a live source, and the buffer between its reader and its consumer."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Gaps = tuple[tuple[float, float], ...]
MAX_GAPS = 16  # of one frame, of which the newest are kept


@dataclass(frozen=True)
class LiveFrame:
    """One frame of a stream.

    Args:
        frame: RGB, uint8 [H, W, 3].
        time: seconds since the stream began; increases over interruptions.
        decoded_at: when it was decoded, in seconds since 1970.
        gaps: seconds at which nothing was recorded since the frame before, from the end of the last
            frame before each gap to the first one after; of no length where the clock of the source
            jumps. A jump may come one frame late.
    """

    frame: NDArray[np.uint8]
    time: float
    decoded_at: float = 0.0
    gaps: Gaps = ()


@dataclass(frozen=True)
class Notice:
    """A change in the state of the stream itself.

    Args:
        kind: `connected`, `lost`, `dropped` (frames that came faster than they were taken),
            `recording` (a problem of the recording, or its end) or `ended`.
        text: what happened, in words.
        count: number of dropped frames.
    """

    kind: str
    text: str
    count: int = 0


class FrameBuffer:
    """A queue of frames that drops the oldest ones when it is full, and of notices.

    Args:
        size: maximum number of waiting frames.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._frames: deque[LiveFrame] = deque()
        self._notices: list[Notice] = []
        self._dropped = 0
        self._changed = threading.Condition()

    def put_frame(self, frame: LiveFrame) -> None:
        """Append a frame; drop the oldest one if there are too many."""
        with self._changed:
            self._frames.append(frame)
            if len(self._frames) > self._size:
                gaps = self._frames.popleft().gaps
                if gaps:
                    oldest = self._frames[0]
                    self._frames[0] = replace(oldest, gaps=(gaps + oldest.gaps)[-MAX_GAPS:])
                self._dropped += 1
            self._changed.notify()

    def put_notice(self, notice: Notice) -> None:
        """Append a notice."""
        with self._changed:
            self._notices.append(notice)
            self._changed.notify()

    def take(self, timeout: float) -> list[list[LiveFrame] | Notice]:
        """Remove and return everything in the buffer: notices, and the frames as one list.

        Args:
            timeout: seconds to wait if the buffer is empty.
        """
        with self._changed:
            if not self._frames and not self._notices:
                self._changed.wait(timeout)
            # Frames come after the notice of a connection and before that of a loss or an end.
            connected = [notice for notice in self._notices if notice.kind == "connected"]
            others = [notice for notice in self._notices if notice.kind != "connected"]
            if self._dropped:
                text = f"{self._dropped} frames were dropped to keep up with the stream"
                others.insert(0, Notice("dropped", text, self._dropped))
            frames = [list(self._frames)] if self._frames else []
            self._frames.clear()
            self._notices, self._dropped = [], 0
            return [*connected, *frames, *others]
