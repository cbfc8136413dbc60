"""When a live score becomes an alert: hysteresis, a least duration, and a cool-down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Change = Literal["began", "changed", "ended"]


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


@dataclass
class Alarm:
    """Follows a score and tells when alerts begin and end.

    Args:
        rule: what makes an alert.
        classes: class names, the normal one first.
        count: alerts there have been already.
    """

    rule: AlertRule
    classes: Sequence[str]
    count: int = 0
    alert: Alert | None = None
    _above: list[tuple[float, float, np.ndarray[tuple[int], np.dtype[np.float64]]]] = field(
        default_factory=list
    )
    _quiet_until: float = -np.inf

    def feed(
        self, time: float, score: float, probabilities_C: Sequence[float]
    ) -> list[tuple[Change, Alert]]:
        """Take the next snippet, and return what it changes.

        Args:
            time: seconds since the stream began, later than the last ones.
            score: anomaly score, 0 to 1.
            probabilities_C: of the classes.
        """
        seen = (time, score, np.asarray(probabilities_C, np.float64))
        if self.alert is not None:
            return self._go_on(self.alert, seen)
        if score <= self.rule.on or time < self._quiet_until:
            self._above.clear()
            return []
        self._above.append(seen)
        if time - self._above[0][0] < self.rule.least_seconds:
            return []
        self.count += 1
        self.alert = self._summary(self.count)
        return [("began", self.alert)]

    def _go_on(
        self, before: Alert, seen: tuple[float, float, np.ndarray[tuple[int], np.dtype[np.float64]]]
    ) -> list[tuple[Change, Alert]]:
        if seen[1] < self.rule.off:
            self.alert = None
            self._above.clear()
            self._quiet_until = seen[0] + self.rule.cool_down_seconds
            return [("ended", replace(before, end=seen[0]))]
        self._above.append(seen)
        self.alert = self._summary(before.number)
        return [("changed", self.alert)] if self.alert.label != before.label else []

    def _summary(self, number: int) -> Alert:
        times, scores, probabilities = zip(*self._above, strict=True)
        highest = int(np.argmax(scores))
        if len(self.classes) > 1:
            label = self.classes[1 + int(np.mean(probabilities, axis=0)[1:].argmax())]
        else:
            label = self.classes[0]
        return Alert(number, times[0], times[-1], label, float(max(scores)), times[highest])
