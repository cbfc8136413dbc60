"""What takes up live streams and watches each in a thread of its own."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from exvad.live.alerts import Alert, AlertRule
from exvad.live.live_detector import LiveDetector, LiveSettings, watch
from exvad.results.live import LiveNotice, LiveScores, Record
from exvad.serving.queue.retrying import retry_while_disk_full
from exvad.serving.sources.spool import path_below
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.workers.frames import jpeg
from exvad.serving.workers.remote_models import UnreachableError
from exvad.video.live_source import LiveFrame, Notice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.detector.detector import Detector
    from exvad.serving.queue.streams import StreamClaim, Streams
    from exvad.serving.settings import ServerSettings

LOOK_SECONDS = 0.5
RENEW_SECONDS = 1.0
HYSTERESIS = 0.7  # an alert ends below this share of the score that began it
LONGEST_WINDOW = 64  # snippets: half a minute of pictures at 30 frames per second


class Told(NamedTuple):
    """Something to tell of a stream.

    Args:
        record: what it is.
        came: when the pictures came that it is about, in seconds since 1970.
        pictures: JPEG of the new peaks of alerts that are still to be kept; taken out once kept.
    """

    record: Record
    came: float
    pictures: dict[int, bytes]


class Watcher:
    """Watches streams with one detector.

    Args:
        detector: the trained detector and its models.
        streams: the streams.
        settings: of the server.
    """

    def __init__(self, detector: Detector, streams: Streams, settings: ServerSettings) -> None:
        self.streams, self.settings = streams, settings
        self.failed = False
        self._detector = detector
        self._threads: list[threading.Thread] = []
        self._renewed = threading.Event()  # set once another detector is to be used

    def use(self, detector: Detector) -> None:
        """Watch with this detector from now on: streams are taken up anew, within a second."""
        self._detector = detector
        self._renewed.set()
        self._renewed = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Take up streams until told to stop."""
        swept = time.monotonic()
        while not stopped.wait(LOOK_SECONDS):
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < self.settings.max_streams:
                claim = retry_while_disk_full(lambda: self.streams.claim(uuid.uuid4().hex), stopped)
                if claim is not None:
                    self._begin(claim, stopped)
            if time.monotonic() - swept > 600:
                swept = time.monotonic()
                retry_while_disk_full(
                    lambda: self.streams.forget_older(self.settings.keep_hours), stopped
                )
        for thread in self._threads:
            thread.join()

    def _begin(self, claim: StreamClaim, stopped: threading.Event) -> None:
        thread = threading.Thread(target=self._watch, args=(claim, stopped), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self, claim: StreamClaim, stopped: threading.Event) -> None:
        ended = False
        try:
            with self._lease(claim, stopped) as over:
                for record in self._records(claim, over):
                    self._tell(claim, record, over)
                ended = not over.is_set()
        except UnreachableError as error:
            self._say(claim, "lost", str(error))
        except ValueError as error:
            self._say(claim, "ended", str(error))
            ended = True
        except BaseException:
            self.failed = True  # nobody else would hear of it; the replica is replaced
            raise
        finally:
            leave = self.streams.end if ended else self.streams.release
            retry_while_disk_full(partial(leave, claim.number, claim.holder), stopped)

    def _records(self, claim: StreamClaim, over: threading.Event) -> Iterator[Told]:
        """Yield what there is to tell of a stream, until it ends or is over for this watcher."""
        options, detector = claim.options, self._detector
        path = claim.source.path
        if path is not None:  # what lies there now may be something else than when it was named
            path = str(path_below(self.settings.allowed_root, path))
        checkpoint = detector.checkpoint
        if options.categories:
            checkpoint = detector.widened(options.categories)
        # A stream is watched for long: what is abnormal rather than not may ring, no less.
        on = checkpoint.calibration.even_score() if options.on is None else options.on
        off = min(on, on * HYSTERESIS if options.off is None else options.off)
        rule = AlertRule(on, off, options.least_seconds, options.cool_down_seconds)
        self.streams.begin(claim.number, claim.holder, on, checkpoint.labels.classes)
        config = checkpoint.config
        settings = LiveSettings(
            window=min(config.model.max_snippets, LONGEST_WINDOW),
            explain=options.explain,
            alerts=claim.alerts,
        )
        source = StreamProcess(
            {
                "url": claim.source.url,
                "path": path,
                "name": claim.name,
                "stride": config.data.stride,
                "short_side": config.data.short_side,
                "networks": [str(network) for network in self.settings.url_networks],
                "idle_seconds": self.settings.stream_idle_seconds,
                "max_bytes": self.settings.decode_bytes,
                # A camera has gone on meanwhile; a file is read again from its beginning.
                "since": time.time() - claim.created if path is None else 0.0,
            }
        )
        pace, shots = _Pace(), dict[int, bytes]()

        def on_peak(alert: Alert, frame: NDArray[np.uint8]) -> None:
            shots[alert.number] = jpeg(frame)

        known = claim.seconds if path is not None else None
        with ThreadPoolExecutor(1) as helper:
            live = LiveDetector(checkpoint, detector.models, rule, settings, helper, on_peak)
            for record in watch(pace.timed(source.follow(over), known), live):
                yield Told(record, pace.came, shots)
                if over.is_set():
                    return

    def _tell(self, claim: StreamClaim, told: Told, over: threading.Event) -> None:
        number, holder, record = claim.number, claim.holder, told.record

        def note() -> None:
            if isinstance(record, LiveScores):
                self.streams.tell_scores(number, holder, record, time.time() - told.came)
            elif isinstance(record, LiveNotice):
                self.streams.tell_notice(number, holder, record)
            else:
                picture = told.pictures.get(record.number)
                self.streams.tell_alert(number, holder, record, claim.options.webhook, picture)
                told.pictures.pop(record.number, None)

        retry_while_disk_full(note, over)
        for alert, picture in list(told.pictures.items()):
            # A new peak may be known before its alert is told.
            if retry_while_disk_full(
                partial(self.streams.keep_frame, number, holder, alert, picture), over
            ):
                del told.pictures[alert]

    def _say(self, claim: StreamClaim, kind: str, text: str) -> None:
        self.streams.tell_notice(claim.number, claim.holder, LiveNotice(kind=kind, text=text))

    @contextmanager
    def _lease(self, claim: StreamClaim, stopped: threading.Event) -> Iterator[threading.Event]:
        """Hold a stream; gives what is set once it is no longer to be watched here."""
        over, done, renewed = threading.Event(), threading.Event(), self._renewed

        def renew() -> None:
            while not done.wait(RENEW_SECONDS):
                held = retry_while_disk_full(
                    lambda: self.streams.renew(claim.number, claim.holder), done
                )
                if not held or stopped.is_set() or renewed.is_set():
                    over.set()
                    return

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield over
        finally:
            done.set()
            thread.join()


class _Pace:
    """Notes when the pictures came that are being looked at."""

    def __init__(self) -> None:
        self.came = time.time()

    def timed(
        self, source: Iterator[list[LiveFrame] | Notice], known: float | None
    ) -> Iterator[list[LiveFrame] | Notice]:
        """Pass on what a source yields, without the pictures up to a second that is known."""
        for found in source:
            if isinstance(found, Notice):
                yield found
                continue
            new = [each for each in found if known is None or each.time > known]
            if new:
                self.came = new[0].came
                yield new
