"""Servers for tests of the page: one that analyzes videos, and one with streams to publish to."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from exvad.detector.detector import TimedAnalysis
from exvad.results import Analysis, Caption, DetectedEvent, DomainCheck, Explanation
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.schemas.streams import StreamOptions, StreamSource
from tests.helpers.browsing import MARKUP, Tab
from tests.helpers.fake_detector import FakeDetector
from tests.helpers.server import Server

CLASSES = ("Normal", "Arson", "RoadAccidents")
HOLDER = "the test"
FIRE = Explanation(
    anomalous=True, category="Arson", summary="a bin burns.", reason="fire.", evidence=[2]
)
FRAME_SIZE = (64, 48)
RESUME_TIMEOUT = 20
# The error of a browser that shows an alert before the test has stored its frame.
EARLY_FRAME = r"status of 404.*/alerts/\d+/frame"


def open_stream(tab: Tab, stream_id: str) -> Page:
    """Open the page of a stream and wait until it is shown."""
    page = tab.open(f"#live/{stream_id}")
    expect(page.locator("#stream")).to_be_visible()
    return page


def with_two_events(analysis: Analysis) -> Analysis:
    """Add an event, captions, and texts that contain markup or no space to break lines at."""
    accident = DetectedEvent(
        start=3.2, end=4.4, label="RoadAccidents", score=0.8, confidence=0.7, captions=[2]
    )
    captions = [
        Caption(time=1.6, raw="a bin burns", text="a bin burns"),
        Caption(time=3.2, raw=MARKUP, text=MARKUP),
        Caption(time=4.0, raw="a car", text="word" * 60),
    ]
    explanation = Explanation(
        anomalous=True, category="Arson", summary=f"a bin burns {MARKUP}", reason=MARKUP,
        evidence=[1, 2],
    )  # fmt: skip
    return analysis.model_copy(
        update={
            "events": [*analysis.events, accident],
            "captions": captions,
            "explanation": explanation,
        }
    )


class PausingDetector(FakeDetector):
    """Detects a fire and an accident in every video.

    Attributes:
        resume: clear it to pause every analysis at half of its progress.
        domain: what it says about the domain of every video.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resume = threading.Event()
        self.resume.set()
        self.domain: DomainCheck | None = None

    def analyze_timed(self, path: str | Path, *arguments: Any) -> TimedAnalysis:
        """Analyze a video; see `FakeDetector.analyze_timed`."""
        timed = super().analyze_timed(path, *arguments)
        *_, callbacks, _ = arguments
        if callbacks is not None and callbacks.on_progress is not None:
            callbacks.on_progress(0.5)
        self.resume.wait(RESUME_TIMEOUT)
        analysis = with_two_events(timed.analysis)
        return timed._replace(analysis=analysis.model_copy(update={"domain": self.domain}))


class AnalysisServer(Server):
    """A server that analyzes videos with a `PausingDetector`.

    Args:
        folder: an empty folder for uploads and the queue.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, max_waiting=64)
        self.detector = PausingDetector()
        self.start_worker(self.detector)


class StreamServer(Server):
    """A server whose streams the test itself watches: it publishes their scores and alerts.

    Args:
        folder: an empty folder.

    Attributes:
        root: the folder of growing files.
        streams: the table of streams.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        super().__init__(
            folder, allowed_root=self.root, url_networks=["127.0.0.0/8"], max_streams=200
        )
        self.streams = StreamQueue(self.settings.database_path)

    def watch(self, name: str, options: StreamOptions | None = None) -> str:
        """Start watching a stream; return its id."""
        source = StreamSource(url="rtsp://127.0.0.1/x")
        stream_id = self.streams.add(name, source, options or StreamOptions())
        claim = self.streams.claim(HOLDER)
        assert claim is not None
        assert claim.stream_id == stream_id
        self.streams.record_detector(stream_id, HOLDER, 0.5, CLASSES)
        self.publish_notice(stream_id, "connected", "the source is open")
        return stream_id

    def publish_notice(
        self, stream_id: str, kind: str, text: str, count: int = 0, outside: bool = False
    ) -> None:
        """Publish a notice about the source of a stream, or its domain."""
        notice = LiveNotice(kind=kind, text=text, count=count, outside=outside)
        self.streams.publish_notice(stream_id, HOLDER, notice)

    def publish_scores(
        self, stream_id: str, times: Sequence[float], score: float, scored_at: float | None = None
    ) -> None:
        """Publish an equal score for several snippets."""
        scores = LiveScores(times=list(times), scores=[score] * len(times))
        self.streams.publish_scores(stream_id, HOLDER, scores, 0.4, scored_at)

    def publish_alert(
        self,
        stream_id: str,
        number: int = 1,
        *,
        label: str = "Arson",
        start: float = 10,
        end: float = 20,
        with_frame: bool = True,
    ) -> LiveAlert:
        """Publish that an alert began."""
        alert = LiveAlert(
            number=number,
            state="began",
            start=start,
            end=end,
            label=label,
            peak=0.93,
            confidence=0.54,
        )
        self.streams.publish_alert(stream_id, HOLDER, alert)
        if with_frame:
            self.store_frame(stream_id, number)
        return alert

    def store_frame(self, stream_id: str, number: int) -> None:
        """Store the frame of an alert."""
        buffer = io.BytesIO()
        Image.new("RGB", FRAME_SIZE, "orange").save(buffer, "JPEG")
        assert self.streams.store_frame(stream_id, HOLDER, number, buffer.getvalue())

    def publish_explanation(
        self, stream_id: str, alert: LiveAlert, explanation: Explanation = FIRE
    ) -> None:
        """Publish the explanation of an alert."""
        update = {
            "state": "explained",
            "explanation": explanation,
            "captions": ["a bin", "a fire"],
        }
        self.streams.publish_alert(stream_id, HOLDER, alert.model_copy(update=update))

    def publish_end(self, stream_id: str, alert: LiveAlert, end: float) -> None:
        """Publish that an alert ended."""
        ended = alert.model_copy(update={"state": "ended", "end": end})
        self.streams.publish_alert(stream_id, HOLDER, ended)

    def delete_streams(self) -> None:
        """Delete all streams."""
        for stream in self.streams.list_page(200, 0)[0]:
            self.streams.delete(stream.id)
