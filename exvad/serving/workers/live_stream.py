"""One live stream with the detector that watches it: what the server and the terminal share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, NamedTuple

from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector, watch
from exvad.live.settings import LiveSettings
from exvad.results.live import LiveAlert, LiveScores, Record
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.serving.workers.errors import NoReplicaError
from exvad.serving.workers.peak_frames import PeakFrames
from exvad.video.frame_buffer import LiveFrame, Notice

if TYPE_CHECKING:
    import threading

    from exvad.checkpoints.zero_shot import AnyCheckpoint
    from exvad.detector.detector import Detector
    from exvad.serving.schemas.streams import StreamOptions, StreamSource
    from exvad.serving.settings import ServerSettings
    from exvad.serving.sources.stream_process import StreamProcess

HYSTERESIS = 0.7  # an alert ends below this share of the score that began it
MAX_WINDOW = 64  # snippets: half a minute at 30 frames per second
MAX_ARRIVALS = 512  # frames whose arrival is remembered: alerts begin in the window, or wait


class StreamEvent(NamedTuple):
    """A record of a stream that is to be published.

    Args:
        record: the record.
        arrival: when the frames of the record arrived, in seconds since 1970.
        peak_frames: JPEG of new peaks by alert number; a frame is removed once it is stored.
        happened_at: when the frame of the newest score, or that at the start of the alert, arrived,
            in seconds since 1970; None for a notice.
    """

    record: Record
    arrival: float
    peak_frames: dict[int, bytes]
    happened_at: float | None = None


class LiveStream:
    """Watches one stream.

    Args:
        detector: the detector and its frozen models.
        options: how the stream is watched.

    Attributes:
        checkpoint: the detector's checkpoint, with the classes and scenes of the options.
        rule: the rule that makes the alerts.

    Raises:
        ValueError: the detector can't have these classes or scenes.
    """

    def __init__(self, detector: Detector, options: StreamOptions) -> None:
        self.checkpoint = detector.checkpoint
        if options.categories or options.normal:
            self.checkpoint = detector.with_categories(options.categories, options.normal)
        self.rule = alert_rule(options, self.checkpoint)
        self._detector, self._options = detector, options

    def source_spec(
        self, name: str, source: StreamSource, settings: ServerSettings, start_time: float = 0.0
    ) -> SourceSpec:
        """Return what the process that reads the source needs.

        Args:
            name: name of the source in notices.
            source: the source; a path is absolute.
            settings: the limits of the process, and what a URL may lead to.
            start_time: seconds since the stream began, if it was watched before.
        """
        data = self.checkpoint.config.data
        return SourceSpec(
            name=name,
            url=source.url,
            path=source.path,
            stride=data.stride,
            stride_seconds=data.stride_seconds,
            short_side=data.short_side,
            networks=[str(network) for network in settings.url_networks],
            idle_seconds=settings.stream_idle_seconds,
            max_bytes=settings.decode_bytes,
            start_time=start_time,
            sandbox=settings.sandbox,
        )

    def follow(
        self,
        process: StreamProcess,
        stopped: threading.Event,
        explainer: Executor,
        alerts: int = 0,
        after: float | None = None,
    ) -> Iterator[StreamEvent]:
        """Yield the events of the stream until it ends, or until `stopped` is set.

        Args:
            process: reads the source.
            stopped: set it to end earlier; an alert that goes on is then not ended, and one that
                waits for a second look is passed on.
            explainer: runs the explanations while scoring goes on.
            alerts: number of alerts that the stream has had before.
            after: frames up to this time, in seconds since the stream began, are dropped; None for
                no frames.

        Raises:
            NoReplicaError: no replica of a model answers.
            ValueError: the stream can't be watched.
        """
        settings = LiveSettings(
            window=min(self.checkpoint.config.model.max_snippets, MAX_WINDOW),
            explain=self._options.explain,
            alerts=alerts,
        )
        arrivals, peaks = _ArrivalTimes(), PeakFrames()
        live_detector = LiveDetector(
            self.checkpoint, self._detector.models, self.rule, settings, explainer, peaks.add
        )
        frames = arrivals.track(_until_stopped(process.follow(stopped), stopped), after)

        def to_event(record: Record) -> StreamEvent:
            happened_at = None
            if isinstance(record, LiveAlert):
                happened_at = arrivals.time_of(record.start)
            elif isinstance(record, LiveScores):
                happened_at = arrivals.time_of(record.times[-1])
            return StreamEvent(record, arrivals.last, peaks.sort(record), happened_at)

        try:
            yield from map(to_event, watch(frames, live_detector))
        except (_StoppedError, NoReplicaError) as error:
            # Nobody will confirm an alert any more, so it must not be held any longer.
            yield from map(to_event, live_detector.release())
            if isinstance(error, NoReplicaError):
                raise


def alert_rule(options: StreamOptions, checkpoint: AnyCheckpoint) -> AlertRule:
    """Return the rule that makes the alerts of a stream.

    Without a threshold in the options, an alert begins where abnormal is more likely than normal.
    The calibrated threshold may be lower, which would give too many alerts in a long stream.
    """
    on = checkpoint.calibration.even_odds_score() if options.on is None else options.on
    off = min(on, on * HYSTERESIS if options.off is None else options.off)
    return AlertRule(on, off, options.least_seconds, options.cool_down_seconds)


class _StoppedError(Exception):
    """The watch is over, and the source is not."""


def _until_stopped(
    source: Iterator[list[LiveFrame] | Notice], stopped: threading.Event
) -> Iterator[list[LiveFrame] | Notice]:
    """Yield the items of a source.

    Raises:
        _StoppedError: `stopped` was set, which ends the source, too. A detector takes its end for
            that of the stream: it would end its alert and explain it first.
    """
    for item in source:
        if stopped.is_set():
            raise _StoppedError
        yield item
    if stopped.is_set():
        raise _StoppedError


class _ArrivalTimes:
    """Records when the frames arrived that are processed now.

    Attributes:
        last: when the newest frames arrived, in seconds since 1970.
    """

    def __init__(self) -> None:
        self.last = time.time()
        self._frames: deque[tuple[float, float]] = deque(maxlen=MAX_ARRIVALS)

    def time_of(self, seconds: float) -> float:
        """Return when the frame at a time of the stream arrived, in seconds since 1970.

        Args:
            seconds: seconds since the stream began.
        """
        if not self._frames:
            return self.last
        later = (frame for frame in self._frames if frame[0] >= seconds)
        frame_time, arrival = next(later, self._frames[-1])
        return arrival - (frame_time - seconds)

    def track(
        self, source: Iterator[list[LiveFrame] | Notice], after: float | None
    ) -> Iterator[list[LiveFrame] | Notice]:
        """Yield the items of a source.

        Args:
            source: new frames, oldest first, and notices.
            after: frames up to this time, in seconds since the stream began, are dropped; None for
                no frames.
        """
        for item in source:
            if isinstance(item, Notice) or not item:
                yield item
                continue
            frames = [frame for frame in item if after is None or frame.time > after]
            if frames:
                self.last = frames[0].decoded_at
                self._frames.extend((frame.time, frame.decoded_at) for frame in frames)
                yield frames
