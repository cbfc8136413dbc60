"""The frames of the highest scores of alerts, kept until somebody stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.results.live import LiveAlert, LiveNotice
from exvad.serving.workers.frames import encode_jpeg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.live.alerts import Alert
    from exvad.results.live import Record


class PeakFrames:
    """The newest peak of each alert of a stream as JPEG.

    A frame is to be stored once its alert has passed the second look; that of a rejected alert is
    dropped.
    """

    def __init__(self) -> None:
        self._held: dict[int, bytes] = {}
        self._ready: dict[int, bytes] = {}
        self._passed = self._rejected = 0  # number of the newest such alert

    def add(self, alert: Alert, frame: NDArray[np.uint8]) -> None:
        """Keep the frame of a new peak.

        Args:
            alert: the alert.
            frame: RGB, uint8 [H, W, 3].
        """
        if alert.number == self._passed:
            self._ready[alert.number] = encode_jpeg(frame)
        elif alert.number != self._rejected:
            self._held[alert.number] = encode_jpeg(frame)

    def sort(self, record: Record) -> dict[int, bytes]:
        """Take note of a record that is about to be published.

        Args:
            record: the record.

        Returns:
            The frames to store by alert number; whoever stores one removes it.
        """
        if isinstance(record, LiveNotice) and record.kind == "rejected":
            self._rejected = max(self._rejected, record.alert)
            self._held.pop(record.alert, None)
        elif isinstance(record, LiveAlert):
            self._passed = max(self._passed, record.number)
            if record.number in self._held:
                self._ready[record.number] = self._held.pop(record.number)
        return self._ready
