"""When a live score becomes an alert: hysteresis, a least duration, and a cool-down.

C classes, the normal one first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Change = Literal["began", "changed", "lasted", "ended"]
LASTED_SECONDS = 5.0


@dataclass(frozen=True)
class AlertRule:
    """What makes an alert.

    Args:
        on: a score above it may begin one, 0 to 1.
        off: a score below it ends one, at most `on`: between the two nothing changes.
        least_seconds: how long the score must stay above `on` before an alert begins.
        cool_down_seconds: how long after its end no other one begins, so that one event that comes
            and goes does not ring again and again.

    Raises:
        ValueError: a number is out of its range.
    """

    on: float
    off: float
    least_seconds: float = 1.0
    cool_down_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.off <= self.on <= 1:
            raise ValueError(f"alert rule: 0 ≤ off ({self.off}) ≤ on ({self.on}) ≤ 1 must hold")
        if self.least_seconds < 0 or self.cool_down_seconds < 0:
            raise ValueError("alert rule: seconds can't be negative")


@dataclass(frozen=True)
class Alert:
    """A stretch of a live stream that is abnormal.

    Args:
        number: 1 for the first alert of a stream.
        start: seconds since the stream began.
        end: seconds, of the last snippet so far.
        label: its most likely abnormal class.
        peak: highest score.
        peak_time: seconds at which it was reached.
    """

    number: int
    start: float
    end: float
    label: str
    peak: float
    peak_time: float


class AlertTracker:
    """Follows a score and tells when alerts begin, change, go on for another while, and end.

    Args:
        rule: what makes an alert.
        classes: class names, the normal one first.
        count: alerts there have been already.
    """

    def __init__(self, rule: AlertRule, classes: Sequence[str], count: int = 0) -> None:
        self.rule, self.classes, self.count = rule, classes, count
        self.alert: Alert | None = None  # the one going on
        self._run: _Run | None = None  # above `on`, an alert or not yet one
        self._told = -np.inf
        self._quiet_until = -np.inf

    def feed(
        self, time: float, score: float, probabilities_C: Sequence[float]
    ) -> list[tuple[Change, Alert]]:
        """Take the next snippet, and return what it changes.

        Args:
            time: seconds since the stream began, later than the last ones.
            score: anomaly score, 0 to 1.
            probabilities_C: of the classes.
        """
        if self.alert is not None:
            return self._go_on(self.alert, time, score, probabilities_C)
        if score <= self.rule.on or time < self._quiet_until:
            self._run = None
            return []
        run = self._run = self._run or _Run(time, np.zeros(len(self.classes)))
        run.add(time, score, probabilities_C)
        if time - run.start < self.rule.least_seconds:
            return []
        self.count += 1
        self.alert, self._told = run.alert(self.count, self.classes), time
        return [("began", self.alert)]

    def close(self) -> list[tuple[Change, Alert]]:
        """Return the end of the alert that goes on, where nothing more comes."""
        last, self.alert, self._run = self.alert, None, None
        return [] if last is None else [("ended", last)]

    def _go_on(
        self, before: Alert, time: float, score: float, probabilities_C: Sequence[float]
    ) -> list[tuple[Change, Alert]]:
        if score < self.rule.off:
            self.alert = self._run = None
            self._quiet_until = time + self.rule.cool_down_seconds
            return [("ended", replace(before, end=time))]
        assert self._run is not None
        self._run.add(time, score, probabilities_C)
        self.alert = self._run.alert(before.number, self.classes)
        change: Change = "changed" if self.alert.label != before.label else "lasted"
        if change == "lasted" and time - self._told < LASTED_SECONDS:
            return []
        self._told = time
        return [(change, self.alert)]


@dataclass
class _Run:
    """What is known of the snippets of an alert: no more than it takes, however long it lasts."""

    start: float
    sum_C: NDArray[np.float64]
    end: float = 0.0
    peak: float = -np.inf
    peak_time: float = 0.0

    def add(self, time: float, score: float, probabilities_C: Sequence[float]) -> None:
        self.end = time
        self.sum_C += np.asarray(probabilities_C, np.float64)
        if score > self.peak:
            self.peak, self.peak_time = score, time

    def alert(self, number: int, classes: Sequence[str]) -> Alert:
        abnormal = 1 + int(self.sum_C[1:].argmax()) if len(classes) > 1 else 0
        label = classes[abnormal]
        return Alert(number, self.start, self.end, label, float(self.peak), self.peak_time)
