"""The clock of a file: the time of each frame, whatever became of the times that it has.

Recorders leave out times and repeat them. Their clocks are set forward and back, wrap, or begin
anew in every part of a joined recording. A frame with a time of its own keeps it; the others are
placed between their neighbours. Where the clock jumps, the time goes on.

n frames
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_GAP = 12 * 3600.0  # seconds: a longer step is a clock that was set, not a pause
MIN_GAP = 2.0  # seconds without a frame that are named
GAP_STEPS = 10  # a gap is also so many times longer than the usual step between two frames
DEFAULT_STEP = 1 / 25
MAX_CLOCKS = 10_000  # parts of a file with clocks of their own; with more, its times are noise
SPARSE_SHARE = 0.5  # of frames without a time, from which on that is how the container is
MAX_LISTED = 5  # notes of one kind
# Seconds after which counters begin anew: 33 and 32 bits of a 90,000th, and 32 bits of a 1,000th.
_WRAPS = (2**33 / 90_000, 2**32 / 90_000, 2**32 / 1000)
_WRAPPED_STEP = 0.2  # share by which the step over a wrap may differ from the usual one
_STRAY_FRAMES = 2  # so few frames in a row with a wrong time are not a new clock
_REORDERED = 32  # frames: no codec shows a frame so much later than its packet comes
_MAX_DELAY = 30.0  # seconds, for the same reason, where the rate is not constant


@dataclass(frozen=True)
class Timeline:
    """The times of the frames of a file, in the order in which they are shown.

    Args:
        seconds: time of each frame since the first one, increasing, float64 [n].
        step: usual seconds from one frame to the next.
        gaps: seconds at which nothing was recorded, from the end of the last frame before to the
            first frame after; of no length where the clock was set.
        notes: what was found and mended, in words.
    """

    seconds: NDArray[np.float64]
    step: float
    gaps: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Frames per second, on average, without the gaps."""
        if len(self.seconds) < 2:
            return 1 / self.step
        unrecorded = sum(end - start for start, end in self.gaps)
        return (len(self.seconds) - 1) / (float(self.seconds[-1]) - unrecorded)


def usual_step(seconds_n: NDArray[np.float64]) -> float:
    """Return the median of the steps between frames, without those of clocks that were set.

    Frames that share a time share the step to the next one.

    Args:
        seconds_n: times of frames, NaN for unknown.
    """
    known = np.flatnonzero(~np.isnan(seconds_n))
    known = known[np.diff(seconds_n[known], prepend=np.nan) != 0]
    steps = np.diff(seconds_n[known]) / np.diff(known)
    steps = steps[(steps > 0) & (steps <= MAX_GAP)]
    return float(np.median(steps)) if len(steps) else DEFAULT_STEP


def read_clock(sorted_n: NDArray[np.float64]) -> Timeline:
    """Return the timeline of a file whose frames all have a time of their own.

    Args:
        sorted_n: seconds of the frames by the clock of the file, increasing.
    """
    return _join([sorted_n], usual_step(sorted_n), [])


def close_first_second(sorted_n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times of which those before the first full second are moved up to it.

    FFmpeg lets the first frame of a .dav recording begin a second, wherever it lies in it.

    Args:
        sorted_n: seconds of the frames from 0 on, increasing.
    """
    step = usual_step(sorted_n)
    holes = np.flatnonzero((np.diff(sorted_n) > 1.5 * step) & (sorted_n[:-1] < 1))
    if len(holes):
        last = int(holes[0])
        sorted_n = sorted_n.copy()
        sorted_n[: last + 1] += sorted_n[last + 1] - step - sorted_n[last]
    moved: NDArray[np.float64] = sorted_n - sorted_n[0]
    return moved


def mend_clock(
    shown_n: NDArray[np.float64], coded_n: NDArray[np.float64], reordered: bool
) -> Timeline | None:
    """Return the timeline of a file whose times are not all right.

    Args:
        shown_n: seconds at which the frames are shown by the clock of the file, NaN for unknown, in
            the order of their packets.
        coded_n: seconds at which they are decoded, NaN for unknown, in the same order.
        reordered: whether frames may be shown in another order than that of their packets.

    Returns:
        The timeline; None if the file has no times, or none that make sense.
    """
    if reordered:
        coded_n = _lead_in(coded_n)
    # Only times that increase from packet to packet show where a clock jumps.
    steady_n = _choose_steady(shown_n, coded_n, reordered)
    if np.isnan(steady_n).all():
        return None
    step = usual_step(steady_n)
    unwrapped_n = _unwrap(steady_n, step)
    if unwrapped_n is not None:
        shown_n, coded_n = _follow(shown_n, unwrapped_n), _follow(coded_n, unwrapped_n)
        steady_n = unwrapped_n
    starts, is_stray_n = _find_jumps(steady_n)
    if len(starts) > MAX_CLOCKS:
        return None
    parts: list[NDArray[np.float64]] = []
    placed = 0
    for start, stop in zip(starts, [*starts[1:], len(steady_n)], strict=True):
        part = slice(start, stop)
        # A stray time of decoding says nothing about the time at which the frame is shown.
        trusted_n = np.where(is_stray_n[part] & (not reordered), np.nan, shown_n[part])
        rough_n = _fill(np.where(is_stray_n[part], np.nan, steady_n[part]), step)
        if reordered:
            # No frame is shown before it is decoded.
            trusted_n = np.where(shown_n[part] < coded_n[part], np.nan, trusted_n)
        times_n = _in_order_of_showing(trusted_n, rough_n, step)
        is_placed_n = np.isnan(times_n)
        placed += int(is_placed_n.sum())
        if reordered and is_placed_n.any():
            times_n = _complete(times_n, coded_n[part])
        parts.append(_fill(times_n, step))
    notes = []
    # Some containers have a time for some frames only.
    if placed and np.isnan(shown_n).mean() < SPARSE_SHARE:
        notes.append(
            f"{placed} of {len(shown_n)} frames have no time, or one that is not their own; they "
            "are placed between their neighbours"
        )
    return _join(parts, step, notes)


def is_in_order(shown_n: NDArray[np.float64], reordered: bool) -> bool:
    """Return whether each frame comes no further from its place than codecs reorder frames.

    Args:
        shown_n: seconds at which the frames are shown, in the order of their packets.
        reordered: whether the codec reorders frames.
    """
    if (np.diff(shown_n) > 0).all():
        return True
    places = np.argsort(shown_n, kind="stable")
    return reordered and bool((np.abs(places - np.arange(len(places))) <= _REORDERED).all())


def _lead_in(coded_n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times of decoding with those before the first known one, by the usual step.

    Matroska does not say them of the first frames, which are shown in another order.
    """
    known = np.flatnonzero(~np.isnan(coded_n))
    if not len(known):
        return coded_n
    led_n = coded_n.copy()
    led_n[: known[0]] = coded_n[known[0]] - np.arange(known[0], 0, -1) * usual_step(coded_n)
    return led_n


def _choose_steady(
    shown_n: NDArray[np.float64], coded_n: NDArray[np.float64], reordered: bool
) -> NDArray[np.float64]:
    first, second = (coded_n, shown_n) if reordered else (shown_n, coded_n)
    steady_n: NDArray[np.float64] = np.where(np.isnan(first), second, first)
    return steady_n


def _unwrap(steady_n: NDArray[np.float64], step: float) -> NDArray[np.float64] | None:
    """Return times that go on where a counter has wrapped; None if none has."""
    known = np.flatnonzero(~np.isnan(steady_n))
    steps = np.diff(steady_n[known])
    added_n = np.zeros(len(steady_n))
    for wrap in _WRAPS:
        is_wrap = np.abs(steps + wrap - step) <= _WRAPPED_STEP * step
        added_n[known[1:][is_wrap]] = wrap
    return steady_n + np.cumsum(added_n) if added_n.any() else None


def _follow(times_n: NDArray[np.float64], steady_n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times as close to others as the wraps of a counter allow.

    Around a wrap, frames are decoded before it and shown after it.
    """
    nearest_n = times_n
    for wrap in _WRAPS:
        moved_n = times_n + wrap * np.round((steady_n - times_n) / wrap)
        is_closer_n = np.abs(moved_n - steady_n) < np.abs(nearest_n - steady_n)
        is_close_n = np.abs(moved_n - steady_n) <= _MAX_DELAY
        nearest_n = np.where(is_closer_n & is_close_n, moved_n, nearest_n)
    return nearest_n


def _find_jumps(steady_n: NDArray[np.float64]) -> tuple[list[int], NDArray[np.bool_]]:
    """Return where the clock begins anew, 0 first, and which frames have no or a stray time."""
    is_stray_n = np.isnan(steady_n)
    known = np.flatnonzero(~is_stray_n).tolist()
    times = steady_n.tolist()
    starts = [0]
    recent = [known[0]]  # the last frames of this clock
    for place, frame in enumerate(known[1:], 1):
        time = times[frame]
        if _goes_on(times[recent[-1]], time):
            recent.append(frame)
            del recent[: -_STRAY_FRAMES - 1]
            continue
        following = known[place + 1 : place + 1 + _STRAY_FRAMES]
        if time == times[recent[-1]] or any(
            _goes_on(times[recent[-1]], times[other]) for other in following
        ):
            is_stray_n[frame] = True
            continue
        strays = 0
        while strays < len(recent) and not _goes_on(times[recent[-1 - strays]], time):
            strays += 1
        if strays < len(recent):
            is_stray_n[recent[len(recent) - strays :]] = True
            del recent[len(recent) - strays :]
            recent.append(frame)
        else:
            starts.append(frame)
            recent = [frame]
    return starts, is_stray_n


def _goes_on(before: float, after: float) -> bool:
    return 0 < after - before <= MAX_GAP


def _in_order_of_showing(
    shown_n: NDArray[np.float64], rough_n: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    """Return the increasing times of the frames of one clock; NaN for those to be placed.

    Args:
        shown_n: seconds at which they are shown, NaN for unknown, in the order of their packets.
        rough_n: seconds that increase from packet to packet.
        step: usual seconds from one frame to the next.
    """
    delay_n = shown_n - rough_n
    is_known_n = ~np.isnan(delay_n)
    median = float(np.median(delay_n[is_known_n])) if is_known_n.any() else 0.0
    is_known_n &= np.abs(np.nan_to_num(delay_n) - median) <= max(_MAX_DELAY, _REORDERED * step)
    usual_delay = median
    if is_known_n.any() and is_known_n.mean() < SPARSE_SHARE:
        # Of few frames the median is that of either kind, but the mean is the same for all.
        usual_delay = float(delay_n[is_known_n].mean())
    places = np.argsort(np.where(is_known_n, shown_n, rough_n + usual_delay), kind="stable")
    times_n = np.where(is_known_n, shown_n, np.nan)[places]
    known = np.flatnonzero(~np.isnan(times_n))
    times_n[known[1:][np.diff(times_n[known]) <= 0]] = np.nan
    return times_n


def _complete(times_n: NDArray[np.float64], coded_n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times with the unknown ones from those of decoding, if these have just those.

    Where frames are reordered, each one is decoded at the time at which an earlier one is shown.
    """
    known = times_n[~np.isnan(times_n)]
    if not len(known):
        return times_n
    missing = np.setdiff1d(coded_n[(coded_n > known.min()) & (coded_n < known.max())], known)
    if len(missing) != len(times_n) - len(known):
        return times_n
    complete: NDArray[np.float64] = np.sort(np.concatenate([known, missing]))
    return complete


def _fill(times_n: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return times with the unknown ones evenly between their neighbours, but not in a gap."""
    indices = np.arange(len(times_n))
    known = np.flatnonzero(~np.isnan(times_n))
    if not len(known):
        even: NDArray[np.float64] = indices.astype(np.float64) * step
        return even
    place = np.searchsorted(known, indices, side="right") - 1
    before = known[np.maximum(place, 0)]
    after = known[np.minimum(place + 1, len(known) - 1)]
    hole = (times_n[after] - times_n[before]) / np.maximum(after - before, 1)
    # Before the first known time, behind the last one, and at a gap, the usual step counts.
    is_even = (before < indices) & (indices < after) & ~_is_gap(hole, step)
    steps = np.where(is_even, hole, step)
    filled: NDArray[np.float64] = times_n[before] + (indices - before) * steps
    return filled


def _is_gap(steps: NDArray[np.float64], step: float) -> NDArray[np.bool_]:
    is_gap: NDArray[np.bool_] = steps > max(MIN_GAP, GAP_STEPS * step)
    return is_gap


def _join(parts: Sequence[NDArray[np.float64]], step: float, notes: list[str]) -> Timeline:
    """Return the timeline of parts that have clocks of their own, one after the other from 0 on."""
    steps_n = np.concatenate([np.concatenate([[np.inf], np.diff(part)]) for part in parts])
    is_jump_n = steps_n > MAX_GAP
    is_jump_n[0] = False
    is_jump_n[_taken_back(parts, steps_n, step)] = True
    if is_jump_n.any():
        steps_n[0] = 0.0
        seconds_n = np.cumsum(np.where(is_jump_n, step, steps_n))
    else:
        seconds_n = parts[0] - parts[0][0]
    jumps = seconds_n[is_jump_n].tolist()
    ends_n, starts_n = seconds_n[:-1] + step, seconds_n[1:]
    is_gap_n = _is_gap(np.diff(seconds_n), step)
    gaps = list(zip(ends_n[is_gap_n].tolist(), starts_n[is_gap_n].tolist(), strict=True))
    notes = [
        *notes,
        *_listed("nothing was recorded from second {:.1f} to {:.1f}", gaps),
        *_listed(
            "the clock of the recording jumps at second {:.1f}; the time goes on without the jump",
            [(jump,) for jump in jumps],
        ),
    ]
    return Timeline(
        seconds_n,
        usual_step(seconds_n),
        tuple(sorted(gaps + [(jump, jump) for jump in jumps])),
        tuple(notes),
    )


def _taken_back(
    parts: Sequence[NDArray[np.float64]], steps_n: NDArray[np.float64], step: float
) -> list[int]:
    """Return the frames at which a clock was set forward, by as much as it is set back later.

    Args:
        parts: times of the frames of each clock.
        steps_n: seconds from the frame before within a part.
        step: usual seconds from one frame to the next.
    """
    frames = []
    stop = 0
    for part, following in itertools.pairwise(parts):
        start, stop = stop, stop + len(part)
        set_back = part[-1] + step - following[0]
        gaps = start + np.flatnonzero(_is_gap(steps_n[start:stop], step))
        is_same = np.abs(steps_n[gaps] - step - set_back) <= MIN_GAP
        frames += gaps[is_same].tolist()[-1:]
    return frames


def _listed(text: str, places: Sequence[tuple[float, ...]]) -> list[str]:
    """Return a note for each of the first places, and one with the number of the others."""
    notes = [text.format(*place) for place in places[:MAX_LISTED]]
    if len(places) > MAX_LISTED:
        notes[-1] += f", and so at {len(places) - MAX_LISTED} other places"
    return notes
