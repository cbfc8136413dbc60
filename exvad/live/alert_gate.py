"""A gate that holds alerts until a second look has confirmed them, for a bounded time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from exvad.results.live import LiveAlert, LiveNotice, LiveScores, Record


@dataclass
class _Held:
    """The records of an alert that is not confirmed yet.

    Args:
        deadline: seconds of the stream at which it is released in any case.
        clock_deadline: the same on the clock: a stream without frames has no time of its own.
        records: its records so far.
    """

    deadline: float
    clock_deadline: float
    records: list[LiveAlert] = field(default_factory=list)


class AlertGate:
    """Passes on the records of a stream, and alerts only once their explanation confirms them.

    A rejected alert becomes a notice. An alert whose explanation does not come in time, or can't be
    had, is passed on unverified: nothing is lost because a model is slow or down. So is one whose
    source is lost: that may belong to what happens there, and nothing more will be seen of it.

    Args:
        seconds: the longest delay of an alert, in seconds of the stream and on the clock.
        clock: returns seconds that never go back.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._held: dict[int, _Held] = {}
        self._rejected: set[int] = set()

    @property
    def is_holding(self) -> bool:
        """Whether an alert is held."""
        return bool(self._held)

    def filter(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that pass, with those that were held and pass now.

        Args:
            records: new records, in order; none to let pass what has been held for too long.
        """
        passed: list[Record] = []
        for record in records:
            if isinstance(record, LiveAlert):
                passed += self._take_alert(record)
                continue
            if isinstance(record, LiveScores) and record.times:
                passed += self._release_late(record.times[-1])
            if isinstance(record, LiveNotice) and record.kind in ("unexplained", "lost"):
                passed += self.release()
            passed.append(record)
        return passed + self._release_late()

    def release(self) -> list[Record]:
        """Return all records that are held, unverified."""
        held, self._held = self._held, {}
        return [record for alert in held.values() for record in alert.records]

    def _take_alert(self, alert: LiveAlert) -> list[Record]:
        if alert.number in self._rejected:
            return []
        if alert.state == "began":
            self._held[alert.number] = _Held(alert.end + self.seconds, self._clock() + self.seconds)
        held = self._held.get(alert.number)
        if held is None:
            return [alert]
        if alert.explanation is None:
            held.records.append(alert)
            return []
        del self._held[alert.number]
        if alert.explanation.anomalous:
            return [*held.records, alert]
        self._rejected.add(alert.number)
        text = f"a second look rejected {alert.label}: {alert.explanation.reason}"
        return [LiveNotice(kind="rejected", text=text, alert=alert.number)]

    def _release_late(self, stream_time: float = -math.inf) -> list[Record]:
        now = self._clock()
        late = [
            number
            for number, held in self._held.items()
            if stream_time >= held.deadline or now >= held.clock_deadline
        ]
        return [record for number in late for record in self._held.pop(number).records]
