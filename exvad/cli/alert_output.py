"""The output of `exvad watch`: alerts, notices and a summary, as text or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape

from exvad.cli.analysis import clock_text
from exvad.config.counts import count_of
from exvad.live.alert_states import merge_states
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.schemas.streams import AlertStatus

if TYPE_CHECKING:
    from rich.console import Console

    from exvad.results.live import Record

CHANGES = {
    "began": "{} begins",
    "changed": "now {}",
    "explained": "{} explained",
    "ended": "{} ends",
    "placed": "{} placed anew",
}
FIELDS = set(LiveAlert.model_fields)
MAX_REMEMBERED = 16  # alerts of a stream, whose explanation may come after their end


@dataclass
class _Watched:
    """What was printed of a stream.

    Args:
        alerts: its newest alerts by number.
        num_alerts: number of its alerts.
        newest: number of the newest of them.
        seconds: time of the newest score, in seconds since the stream began; None without scores.
        dropped: number of frames that were dropped.
        printed: the notice that was printed last.
    """

    alerts: dict[int, AlertStatus] = field(default_factory=dict)
    num_alerts: int = 0
    newest: int = 0
    seconds: float | None = None
    dropped: int = 0
    printed: str = ""


class AlertOutput:
    """Prints what happens in streams.

    Args:
        names: the streams.
        output: where alerts are printed.
        notes: where notices and the summary are printed.
        as_json: whether to print JSON objects instead of text.
    """

    def __init__(
        self, names: Iterable[str], output: Console, notes: Console, as_json: bool
    ) -> None:
        self._streams = {name: _Watched() for name in names}
        self._output, self._notes, self._as_json = output, notes, as_json

    @property
    def unread(self) -> list[str]:
        """The streams of which no frame was seen."""
        return [name for name, stream in self._streams.items() if stream.seconds is None]

    def add(self, name: str, record: Record, happened_at: float | None = None) -> None:
        """Print a record of a stream if a person should see it.

        Args:
            name: the stream.
            record: the record.
            happened_at: when the frame at the start of an alert arrived, in seconds since 1970.
        """
        stream = self._streams[name]
        if isinstance(record, LiveScores):
            stream.seconds = record.times[-1]
        elif isinstance(record, LiveNotice):
            self._add_notice(name, stream, record)
        else:
            self._add_alert(name, stream, record, happened_at)

    def end_alerts(self, name: str) -> None:
        """End the alerts of a stream that go on, because it is not watched any more."""
        stream = self._streams[name]
        for alert in list(stream.alerts.values()):
            if alert.state != "ended":
                values = alert.model_dump(include=FIELDS)
                self._add_alert(name, stream, LiveAlert(**{**values, "state": "ended"}))

    def summarize(self) -> None:
        """Print how long each stream was watched and how many alerts it had."""
        for name, stream in self._streams.items():
            text = f"{count_of(stream.num_alerts, 'alert')} in {clock_text(stream.seconds or 0.0)}"
            if stream.dropped:
                text += f", {count_of(stream.dropped, 'frame')} dropped to keep up"
            if stream.seconds is None:
                text = "no frame was seen"
            self._notes.print(f"{name}: {text}", markup=False, soft_wrap=True)

    def _add_notice(self, name: str, stream: _Watched, notice: LiveNotice) -> None:
        stream.dropped += notice.count
        if self._as_json:
            self._print_json(name, "notice", notice.model_dump())
        text = notice.text.removeprefix(f"{name}: ")
        # A camera that stays away, or a machine that is too slow, is worth one line, not thousands.
        topic = notice.kind if notice.kind == "dropped" else text.partition("; trying again")[0]
        if topic != stream.printed:
            stream.printed = topic
            warns = notice.kind in ("lost", "dropped", "unexplained") or notice.outside
            style = "yellow" if warns else "dim"
            line = f"{_now()}  {name}: {text}"
            self._notes.print(line, style=style, markup=False, soft_wrap=True)

    def _add_alert(
        self, name: str, stream: _Watched, alert: LiveAlert, began_at: float | None = None
    ) -> None:
        earlier = stream.alerts.get(alert.number)
        merged = merge_states(earlier, alert)
        if earlier is not None and merged.start == earlier.start:
            began_at = earlier.began_at
        elif began_at is None:
            began_at = time.time()
        status = AlertStatus(**merged.model_dump(include=FIELDS), began_at=began_at)
        if alert.number > stream.newest:  # not an explanation that comes late
            stream.newest = alert.number
            stream.num_alerts += 1
        stream.alerts[alert.number] = status
        if len(stream.alerts) > MAX_REMEMBERED:
            del stream.alerts[min(stream.alerts)]
        if alert.state == "lasted":
            return
        if self._as_json:
            said = {"state": "placed"} if alert.state == "placed" else {}
            self._print_json(name, "alert", status.model_dump() | said)
        else:
            line = _alert_line(name, status, alert.state)
            self._output.print(line, soft_wrap=True, emoji=False)

    def _print_json(self, name: str, kind: str, content: dict[str, object]) -> None:
        print(json.dumps({"stream": name, kind: content}), flush=True)


def _alert_line(name: str, alert: AlertStatus, state: str) -> str:
    """Return an alert in one line of markup."""
    span = clock_text(alert.start)
    if state in ("ended", "placed"):
        span += f"–{clock_text(alert.end)}"
    parts = [
        _now(),
        f"[bold]{escape(name)}[/]",
        f"alert {alert.number}",
        CHANGES[state].format(f"[bold red]{escape(alert.label)}[/]"),
        f"confidence {alert.confidence or 0:.2f}",
        span,
    ]
    if alert.explanation is not None:
        parts.append(f"why: {escape(' '.join(alert.explanation.text.split()))}")
    if alert.domain:
        parts.append("[yellow]outside the domain of the checkpoint[/]")
    if alert.disagreement:
        parts.append(f"[yellow]note: {escape(alert.disagreement)}[/]")
    return "  ".join(parts)


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
