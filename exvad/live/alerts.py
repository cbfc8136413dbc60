"""Alerts from live scores: hysteresis, a minimum duration, and a cool-down.

C classes, the normal one first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.results import DetectedEvent

Change = Literal["began", "changed", "lasted", "ended"]
LASTED_SECONDS = 5.0  # between two reports of an alert that goes on


@dataclass(frozen=True)
class AlertRule:
    """The rule that turns scores into alerts.

    Args:
        on: an alert begins above this score, 0 to 1.
        off: an alert ends below this score, at most `on`; scores in between change nothing.
        least_seconds: how long the score must stay above `on` before an alert begins.
        cool_down_seconds: how long after its end no other alert begins, so that an event with
            pauses gives one alert. Over a gap of the recording that is longer, none goes on.

    Raises:
        ValueError: a value is out of range.
    """

    on: float
    off: float
    least_seconds: float = 1.0
    cool_down_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.off <= self.on <= 1:
            raise ValueError(f"alert rule: 0 ≤ off ({self.off}) ≤ on ({self.on}) ≤ 1 must hold")
        if self.least_seconds < 0 or self.cool_down_seconds < 0:
            raise ValueError(
                f"alert rule: least_seconds ({self.least_seconds}) and cool_down_seconds "
                f"({self.cool_down_seconds}) must not be negative"
            )

    def ends_at(self, gap: tuple[float, float]) -> bool:
        """Whether no alert goes on over a gap: what is behind a jump is another recording.

        Args:
            gap: seconds at which nothing was recorded; of no length where the clock jumps.
        """
        start, end = gap
        return start == end or end - start > self.cool_down_seconds


@dataclass(frozen=True)
class LocatedEvents:
    """The events of the newest snippets of a stream.

    Args:
        events: in temporal order, in seconds since the stream began.
        since: seconds of the oldest of these snippets.
    """

    events: Sequence[DetectedEvent]
    since: float


@dataclass(frozen=True)
class Alert:
    """An abnormal stretch of a live stream.

    Args:
        number: 1-based index among the alerts of the stream.
        start: seconds since the stream began; may lie before the alert was noticed.
        end: seconds of its last snippet so far.
        label: its most likely abnormal class.
        peak: highest score.
        peak_time: seconds of the highest score.
    """

    number: int
    start: float
    end: float
    label: str
    peak: float
    peak_time: float


class AlertTracker:
    """Follows the score of a stream and reports how alerts begin, change, last and end.

    Args:
        rule: the rule.
        classes: class names, the normal one first.
        count: number of alerts that the stream has had before.

    Attributes:
        active: the alert that goes on; None without one.
        unlocated: the newest alert from the first to the last snippet that was scored as such;
            None before the first.
    """

    def __init__(self, rule: AlertRule, classes: Sequence[str], count: int = 0) -> None:
        self.rule, self.classes, self.count = rule, classes, count
        self.active: Alert | None = None
        self.unlocated: Alert | None = None
        self._run: _Run | None = None  # above `on`, an alert or not yet one
        self._last_reported = -np.inf
        self._quiet_until = -np.inf
        self._since = -np.inf  # the end of the last gap

    def update(
        self,
        time: float,
        score: float,
        probabilities_C: Sequence[float],
        window: LocatedEvents | None = None,
    ) -> list[tuple[Change, Alert]]:
        """Take the next snippet and return the changes it causes.

        Args:
            time: seconds since the stream began, later than before.
            score: anomaly score, 0 to 1.
            probabilities_C: class probabilities.
            window: events of the newest snippets, scored again with all that came after them; an
                alert has start, end and class of its event. None for those of its own scores.
        """
        if self.active is not None:
            return self._continue(self.active, time, score, probabilities_C, window)
        if score <= self.rule.on or time < self._quiet_until:
            self._run = None
            return []
        run = self._run = self._run or _Run(time, np.zeros(len(self.classes)))
        run.add(time, score, probabilities_C)
        if time - run.start < self.rule.least_seconds:
            return []
        self.count += 1
        self.unlocated = run.alert(self.count, self.classes)
        self.active = self._locate(self.unlocated, window)
        self._last_reported = time
        return [("began", self.active)]

    def close(self) -> list[tuple[Change, Alert]]:
        """End the active alert because the stream is over, and return this change."""
        last, self.active, self._run = self.active, None, None
        return [] if last is None else [("ended", last)]

    def interrupt(self, start: float, end: float) -> list[tuple[Change, Alert]]:
        """End the active alert before a gap, and return this change; without a cool-down.

        Args:
            start: seconds at which the last frame before the gap ends; it may lie before the last
                snippet.
            end: seconds of the first frame behind the gap.
        """
        self._quiet_until, self._since = -np.inf, end
        before, run = self.active, self._run
        if run is None:
            return []
        if run.start >= end:
            # It began behind the gap, but its event may have been found from before it on.
            self.active = before and replace(before, start=max(before.start, end))
            return []
        self.active = self._run = None
        if before is None:
            return []
        assert self.unlocated is not None
        self.unlocated = replace(self.unlocated, end=min(self.unlocated.end, start))
        # An event that lasts to the last snippet lasts to the end of the recording.
        is_last = before.end >= min(run.end, start)
        return [("ended", replace(before, end=start) if is_last else before)]

    def _locate(self, alert: Alert, window: LocatedEvents | None) -> Alert:
        """Return an alert that goes on with start, end and class of the newest event."""
        if window is None:
            return alert
        events = [event for event in window.events if event.start >= self._since]
        return locate(alert, replace(window, events=events), newest=True)

    def _continue(
        self,
        before: Alert,
        time: float,
        score: float,
        probabilities_C: Sequence[float],
        window: LocatedEvents | None,
    ) -> list[tuple[Change, Alert]]:
        if score < self.rule.off:
            self.active = self._run = None
            self._quiet_until = time + self.rule.cool_down_seconds
            return [("ended", self._locate(replace(before, end=time), window))]
        assert self._run is not None
        self._run.add(time, score, probabilities_C)
        self.unlocated = self._run.alert(before.number, self.classes)
        alert = replace(self.unlocated, start=before.start)
        self.active = self._locate(alert, window)
        change: Change = "changed" if self.active.label != before.label else "lasted"
        if change == "lasted" and time - self._last_reported < LASTED_SECONDS:
            return []
        self._last_reported = time
        return [(change, self.active)]


def locate(alert: Alert, window: LocatedEvents | None, newest: bool = False) -> Alert:
    """Return an alert with start, end and class of the event that it overlaps most.

    Args:
        alert: the alert.
        window: events of the newest snippets; None to change nothing.
        newest: whether the newest event counts instead, because the alert goes on.
    """

    def overlap(event: DetectedEvent) -> float:
        return min(alert.end, event.end) - max(alert.start, event.start)

    events = [] if window is None else [item for item in window.events if overlap(item) >= 0]
    if window is None or not events:
        return alert
    event = events[-1] if newest else max(reversed(events), key=overlap)
    # Of an event that is longer than the window, only the alert has seen the beginning.
    start = event.start if event.start > window.since else min(event.start, alert.start)
    return replace(alert, start=start, end=max(event.end, start), label=event.label)


@dataclass
class _Run:
    """The snippets of an alert in constant memory, however long it lasts.

    Args:
        start: seconds of the first snippet.
        sum_C: sum of the class probabilities.
        end: seconds of the last snippet.
        peak: highest score.
        peak_time: seconds of the highest score.
    """

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
