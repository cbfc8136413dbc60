"""The clock of a live source: like that of a file, but without a look ahead."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

from exvad.video.footage.clock import DEFAULT_STEP, MAX_GAP, MIN_GAP

MIN_STEP = 1e-3  # seconds between the times of two frames: times increase strictly
_STEPS = 15  # of which the median is the usual step


class StreamClock:
    """Converts the times of a source's frames to strictly increasing times of the stream.

    The clock of the source may jump, because it is set, wraps, or begins anew with a recording that
    is played in a loop. Then the time of the stream goes on by the usual step. If the source
    returns to its former clock, only the frames between were stray.

    Args:
        connected_at: time of the stream at which the source was opened.
    """

    def __init__(self, connected_at: float) -> None:
        self._connected_at, self._began = connected_at, time.monotonic()
        self._last = connected_at - MIN_STEP
        self._last_own: float | None = None  # the last time that is a frame's own
        self._offset: float | None = None
        self._former_offset: float | None = None
        self._steps: deque[float] = deque(maxlen=_STEPS)

    def read(self, source_time: float | None) -> float:
        """Return the stream's time of a frame.

        Args:
            source_time: the time that the source gives it; None if it gives none.
        """
        if source_time is None:
            seconds = self._connected_at + time.monotonic() - self._began
        elif self._offset is None or self._last_own is None:
            self._offset = self._connected_at - source_time
            seconds = self._last_own = self._connected_at
        else:
            seconds = self._follow(source_time, self._offset, self._last_own)
        self._last = max(seconds, self._last + MIN_STEP)
        return self._last

    def _follow(self, source_time: float, offset: float, last_own: float) -> float:
        step = source_time + offset - last_own
        if step == 0:  # a doubled time
            return last_own + self._usual_step()
        if (step < 0 or step > MIN_GAP) and self._former_offset is not None:
            former_step = source_time + self._former_offset - last_own
            if 0 < former_step <= MIN_GAP:
                self._offset, self._former_offset = self._former_offset, None
                step = former_step
        if step < 0 or step > MAX_GAP:
            step = max(self._usual_step(), self._last + MIN_STEP - last_own)
            self._former_offset = offset
            self._offset = last_own + step - source_time
        else:
            self._steps.append(step)
        self._last_own = last_own + step
        return self._last_own

    def _usual_step(self) -> float:
        return median(self._steps) if self._steps else DEFAULT_STEP
