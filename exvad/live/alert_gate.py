"""A gate that holds alerts until a second look has confirmed them, for a bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from exvad.results.live import LiveAlert, LiveNotice, LiveScores, Record


@dataclass
class _Held:
    """The records of an alert that is not confirmed yet.

    Args:
        deadline: seconds of the stream at which it is released in any case.
        records: its records so far.
    """

    deadline: float
    records: list[LiveAlert] = field(default_factory=list)


class AlertGate:
    """Passes on the records of a stream, and alerts only once their explanation confirms them.

    A rejected alert becomes a notice. An alert whose explanation does not come in time, or can't be
    had, is passed on unverified: nothing is lost because a model is slow or down.

    Args:
        seconds: the longest delay of an alert, in seconds of the stream.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._held: dict[int, _Held] = {}
        self._rejected: set[int] = set()

    def filter(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that pass, with those that were held and pass now.

        Args:
            records: new records, in order.
        """
        passed: list[Record] = []
        for record in records:
            if isinstance(record, LiveAlert):
                passed += self._take_alert(record)
                continue
            if isinstance(record, LiveScores) and record.times:
                passed += self._release_late(record.times[-1])
            if isinstance(record, LiveNotice) and record.kind == "unexplained":
                passed += self.release()
            passed.append(record)
        return passed

    def release(self) -> list[Record]:
        """Return all records that are held, unverified."""
        held, self._held = self._held, {}
        return [record for alert in held.values() for record in alert.records]

    def _take_alert(self, alert: LiveAlert) -> list[Record]:
        if alert.number in self._rejected:
            return []
        if alert.state == "began":
            self._held[alert.number] = _Held(alert.end + self.seconds)
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
        return [LiveNotice(kind="rejected", text=text)]

    def _release_late(self, time: float) -> list[Record]:
        late = [number for number, held in self._held.items() if time >= held.deadline]
        return [record for number in late for record in self._held.pop(number).records]
