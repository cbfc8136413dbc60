"""The times of events as people write them: frames, seconds, mm:ss.

A whole number is a frame, unless a mark says otherwise. A fraction (`4.8`), a clock (`0:04`,
`1:02:03.5`) and the marks `s` and `ms` are seconds, the mark `f` is a frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["frames", "seconds", "unmarked"]

HOW_TO_WRITE = (
    "write frames as 120-360, seconds as 4.8s-14.4s and minutes as 0:04-0:14; frames that were "
    "counted at another rate than the video's need the column events_fps"
)

_PLAIN = r"-?\d{1,18}(?:\.\d{1,400})?\s*[a-z]*"
_CLOCK = r"\d{1,6}(?::\d\d){1,2}(?:\.\d{1,400})?"
_DASH = r"\s*[-–]\s*"
# The label of a pair of plain numbers ends at the last colon. That of clocks ends at the first
# colon that leaves two clocks, as `Robbery:0:04-0:14` has colons on both sides of its dash.
_EVENTS = tuple(
    re.compile(rf"(?P<label>{label}):\s*(?P<start>{time}){_DASH}(?P<end>{time})\s*", flags)
    for flags in [re.ASCII | re.IGNORECASE | re.DOTALL]
    for label, time in ((".*", _PLAIN), (".*?", _CLOCK))
)
_INTERVAL = re.compile(
    rf"\s*(?P<start>{_CLOCK}|{_PLAIN}){_DASH}(?P<end>{_CLOCK}|{_PLAIN})\s*",
    re.ASCII | re.IGNORECASE,
)
_ENDS_LIKE_A_CLOCK = re.compile(r":\d+\s*$", re.ASCII)
_MARKS: dict[str, tuple[Unit, float]] = {
    "": ("unmarked", 1),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("seconds", 1)),
    "ms": ("seconds", 0.001),
    **dict.fromkeys(("f", "frame", "frames"), ("frames", 1)),
}


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval as it was written.

    Args:
        start: first frame, or seconds.
        end: the frame after the last one, or seconds.
        unit: of both; `unmarked` for whole numbers without a mark.
    """

    start: float
    end: float
    unit: Unit


def parse_event(text: str) -> tuple[str, Interval] | None:
    """Parse `label:start-end`; return None if it is not that.

    Args:
        text: one event, such as `Robbery:120-360`, `Robbery:4.8s-14.4s` or `Robbery:0:04-0:14`.
    """
    for pattern in _EVENTS:
        match = pattern.fullmatch(text)
        if match is not None and match["label"].strip() and not _is_clock(match):
            interval = _interval(match["start"], match["end"])
            return None if interval is None else (match["label"].strip(), interval)
    return None


def parse_interval(text: str) -> Interval | None:
    """Parse `start-end`; return None if it is not that."""
    match = _INTERVAL.fullmatch(text)
    return match and _interval(match["start"], match["end"])


def event_text(label: str, start: str, end: str, mark: str) -> str:
    """Return an event as `parse_event` reads it, with the mark where it would be ambiguous.

    Args:
        label: the class.
        start: a number.
        end: a number.
        mark: `f` for frames, `s` for seconds.
    """
    mark = mark if _ENDS_LIKE_A_CLOCK.search(label) else ""
    return f"{label}:{start}{mark}-{end}{mark}"


def _is_clock(match: re.Match[str]) -> bool:
    """Whether the label of plain numbers has swallowed the minutes, as in `Robbery:0:04-14`."""
    two_digits = re.fullmatch(r"\d\d(\.\d+)?", match["start"].strip(), re.ASCII)
    return bool(two_digits and _ENDS_LIKE_A_CLOCK.search(match["label"]))


def _interval(start_text: str, end_text: str) -> Interval | None:
    start, end = _time(start_text), _time(end_text)
    if start is None or end is None or (":" in start_text) != (":" in end_text):
        return None
    # One mark counts for both numbers, as in `5-14s`.
    marked = {unit for _, unit in (start, end)} - {"unmarked"}
    if len(marked) > 1 or (marked == {"frames"} and not _whole(start[0], end[0])):
        return None
    return Interval(start[0], end[0], marked.pop() if marked else "unmarked")


def _time(text: str) -> tuple[float, Unit] | None:
    if ":" in text:
        return _clock(text)
    match = re.fullmatch(r"(-?\d+)(\.\d+)?\s*([a-z]*)", text, re.ASCII | re.IGNORECASE)
    unit, factor = _MARKS.get(match[3].lower(), (None, 1)) if match else (None, 1)
    if match is None or unit is None:
        return None
    if match[2] is None and unit != "seconds":
        return int(match[1]), unit
    if unit == "frames":
        return None
    return float(match[1] + (match[2] or "")) * factor, "seconds"


def _clock(text: str) -> tuple[float, Unit] | None:
    if re.fullmatch(_CLOCK, text, re.ASCII) is None:
        return None
    *larger, seconds = text.split(":")
    minutes = int(larger[-1]) + 60 * (int(larger[0]) if len(larger) > 1 else 0)
    if float(seconds) >= 60 or (len(larger) > 1 and int(larger[-1]) >= 60):
        return None
    return 60 * minutes + float(seconds), "seconds"


def _whole(*values: float) -> bool:
    return all(isinstance(value, int) for value in values)
