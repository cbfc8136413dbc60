"""The clock of a live source: like that of a file, but without a look ahead."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

from exvad.video.footage.clock import DEFAULT_STEP, GAP_STEPS, MAX_GAP, MIN_GAP

MIN_STEP = 1e-3  # seconds between the times of two frames: times increase strictly
_STEPS = 15  # of which the median is the usual step


class StreamClock:
    """Converts the times of a source's frames to strictly increasing times of the stream.

    The clock of the source may jump, because it is set, wraps, or begins anew with a recording that
    is played in a loop. Then the time of the stream goes on by the usual step. If the source
    returns to its former clock, only the frames between were stray. A frame without a time, or with
    that of the frame before, comes the usual step after the frame before.

    Args:
        connected_at: time of the stream at which the source was opened.
        step: seconds from one frame to the next according to the header of a file; None for a
            source that is received as it plays: until it gives a time, the clock of this machine is
            used.

    Attributes:
        gaps: seconds at which nothing was recorded before the frame that was read last, from the
            end of the frame before; of no length where the clock jumped, at the first frame behind
            the jump. Two if a gap follows right behind a jump. A jump is reported with the second
            frame behind it: until then it may be a stray time.
    """

    def __init__(self, connected_at: float, step: float | None = None) -> None:
        self._connected_at, self._began = connected_at, time.monotonic()
        self._header_step = step
        self._last = connected_at - MIN_STEP
        self._frames = 0  # since the last one with a time of its own, or since the beginning
        self._source_time: float | None = None  # the last one
        self._last_own = connected_at  # the same as a time of the stream
        self._offset = 0.0
        self._former_offset: float | None = None
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self.gaps: tuple[tuple[float, float], ...] = ()
        self._jump: float | None = None  # seconds of a jump that is not reported yet

    def read(self, source_time: float | None) -> float:
        """Return the stream's time of a frame.

        Args:
            source_time: the time that the source gives it; None if it gives none.
        """
        self.gaps = ()
        if source_time is None or source_time == self._source_time:
            seconds = self._place()
        elif self._source_time is None:
            seconds = max(self._place(), self._last + MIN_STEP) if self._frames else self._last_own
            self._take(source_time, seconds - source_time, seconds)
        else:
            seconds = self._follow(source_time)
        self._frames += 1
        self._last = max(seconds, self._last + MIN_STEP)
        return self._last

    def _place(self) -> float:
        """Return the time of a frame that has none of its own."""
        if self._source_time is None and self._header_step is None:
            return self._connected_at + time.monotonic() - self._began
        return self._last_own + self._frames * self._usual_step()

    def _follow(self, source_time: float) -> float:
        offset, seconds = self._offset, source_time + self._offset
        step = seconds - self._last_own
        if (step < 0 or step > MIN_GAP) and self._former_offset is not None:
            former_step = source_time + self._former_offset - self._last_own
            if 0 < former_step <= MIN_GAP:
                offset, self._former_offset = self._former_offset, None
                step, self._jump = former_step, None
        # Behind the frames that were placed, the clock stood still and goes on from there.
        stood_still = self._last - (self._last_own + step) > MIN_GAP
        if step < 0 or step > MAX_GAP or stood_still:
            seconds = max(self._place(), self._last + MIN_STEP)
            self._former_offset = self._offset
            offset = seconds - source_time
            if step < -MIN_GAP or step > MAX_GAP:  # else the clock was only corrected
                self._jump = seconds
        else:
            seconds = self._last_own + step
            self._find_gaps(seconds)
            self._steps.append(step / self._frames)
        self._take(source_time, offset, seconds)
        return seconds

    def _find_gaps(self, seconds: float) -> None:
        """Set the gaps before a frame whose clock goes on from the frame before."""
        usual_step = self._usual_step()
        if self._jump is not None:
            self.gaps, self._jump = ((self._jump, self._jump),), None
        if seconds - self._last > max(MIN_GAP, GAP_STEPS * usual_step):
            self.gaps = (*self.gaps, (self._last + usual_step, seconds))

    def _take(self, source_time: float, offset: float, seconds: float) -> None:
        """Keep the time of a frame as that from which the next ones are placed."""
        self._source_time, self._offset, self._last_own = source_time, offset, seconds
        self._frames = 0

    def _usual_step(self) -> float:
        return median(self._steps) if self._steps else self._header_step or DEFAULT_STEP
