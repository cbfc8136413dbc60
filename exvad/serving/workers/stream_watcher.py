"""The watcher that claims live streams and watches each of them in a thread."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.results.live import LiveNotice, LiveScores
from exvad.serving.queue.retrying import retry_while_disk_full
from exvad.serving.recording.ring import Limits, RecordingRing, clean_up
from exvad.serving.schemas.streams import StreamSource
from exvad.serving.sources.paths import NoFileError, path_below
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.workers.errors import NoReplicaError
from exvad.serving.workers.live_stream import LiveStream, StreamEvent
from exvad.serving.workers.timing import Interval, repeat_in_background

if TYPE_CHECKING:
    from exvad.detector.detector import Detector
    from exvad.serving.queue.streams import StreamClaim, StreamQueue
    from exvad.serving.settings import ServerSettings

POLL_SECONDS = 0.5
RENEW_SECONDS = 1.0
MISSING_SECONDS = 5.0  # between two looks for a file that is away
CLEANUP_SECONDS = 600.0
_LOG = logging.getLogger(__name__)


class StreamWatcher:
    """Watches streams with one detector.

    Args:
        detector: the trained detector and its frozen models.
        streams: the queue of streams.
        settings: settings of the server.

    Attributes:
        failed: whether watching a stream raised an error that is not about the stream.
    """

    def __init__(self, detector: Detector, streams: StreamQueue, settings: ServerSettings) -> None:
        self.streams, self.settings = streams, settings
        self.failed = False
        self._detector = detector
        self._threads: list[threading.Thread] = []
        self._replaced = threading.Event()  # set once the detector was replaced

    def set_detector(self, detector: Detector) -> None:
        """Use another detector; watched streams are claimed again within a second."""
        self._detector = detector
        self._replaced.set()
        self._replaced = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Claim and watch streams until `stopped` is set."""
        cleanup = Interval(CLEANUP_SECONDS)
        while not stopped.wait(POLL_SECONDS):
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < self.settings.max_streams:
                claim = retry_while_disk_full(lambda: self.streams.claim(uuid.uuid4().hex), stopped)
                if claim is not None:
                    self._start_watching(claim, stopped)
            if cleanup.is_due():
                delete = partial(self.streams.delete_older, self.settings.retention_hours)
                retry_while_disk_full(delete, stopped)
                delete = partial(clean_up, self.settings.recordings, self._has_stream)
                retry_while_disk_full(delete, stopped)
        for thread in self._threads:
            thread.join()

    def _start_watching(self, claim: StreamClaim, stopped: threading.Event) -> None:
        thread = threading.Thread(target=self._watch, args=(claim, stopped), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self, claim: StreamClaim, stopped: threading.Event) -> None:
        """Watch a stream until it ends, or until this watcher must release it."""
        ended = False
        try:
            with self._renewed_lease(claim, stopped) as released:
                for event in self._read_events(claim, released):
                    self._publish(claim, event, released)
                ended = not released.is_set()
        except NoReplicaError as error:
            self._publish_notice(claim, "lost", str(error), stopped)
        except ValueError as error:
            self._publish_notice(claim, "ended", str(error), stopped)
            ended = True
        except sqlite3.OperationalError:
            _LOG.exception(
                "stream %s was released: the database could not be written", claim.stream_id
            )
        except BaseException:
            self.failed = True  # the health check of the replica reads it
            raise
        finally:
            leave = self.streams.end if ended else self.streams.release
            retry_while_disk_full(partial(leave, claim.stream_id, claim.holder), stopped)

    def _read_events(self, claim: StreamClaim, released: threading.Event) -> Iterator[StreamEvent]:
        """Yield the events of a stream until it ends, or until `released` is set.

        Raises:
            NoReplicaError: no replica of a model answers.
            ValueError: the stream can't be watched.
        """
        source, is_file = claim.source, claim.source.path is not None
        if source.path is not None:  # the path may lead elsewhere since it was submitted
            path = self._find_file(claim, source.path, released)
            if path is None:
                return
            source = StreamSource(path=str(path))
        stream = LiveStream(self._detector, claim.options)
        classes = stream.checkpoint.classes
        record = partial(self.streams.record_detector, claim.stream_id, claim.holder)
        retry_while_disk_full(partial(record, stream.rule.on, classes), released)
        # A camera goes on meanwhile; a file is read from its beginning again.
        start_time = 0.0 if is_file else time.time() - claim.created
        spec = stream.source_spec(claim.name, source, self.settings, start_time)
        process = StreamProcess(spec, self._ring(claim))
        last_seconds = claim.seconds if is_file else None
        with ThreadPoolExecutor(1) as explainer:
            yield from stream.follow(process, released, explainer, claim.num_alerts, last_seconds)

    def _find_file(self, claim: StreamClaim, name: str, released: threading.Event) -> Path | None:
        """Return the path of a growing file, and wait for it while it is away.

        Returns:
            None if `released` was set first.

        Raises:
            ValueError: what the path names is no file.
        """
        is_reported = False
        while not released.is_set():
            try:
                return path_below(self.settings.allowed_root, name)
            except NoFileError as error:
                if not is_reported:
                    text = f"{claim.name}: {error}; trying again every {MISSING_SECONDS:.0f} s"
                    self._publish_notice(claim, "lost", text, released)
                is_reported = True
            released.wait(MISSING_SECONDS)
        return None

    def _has_stream(self, stream_id: str) -> bool:
        return self.streams.status(stream_id) is not None

    def _ring(self, claim: StreamClaim) -> RecordingRing | None:
        hours = claim.options.keep_hours
        if not hours:
            return None
        limits = Limits(hours, self.settings.keep_bytes)
        return RecordingRing(self.settings.recordings / claim.stream_id, limits)

    def _publish(self, claim: StreamClaim, event: StreamEvent, released: threading.Event) -> None:
        """Publish an event, and store the frames of new peaks."""
        stream_id, holder = claim.stream_id, claim.holder
        record, peak_frames, happened_at = event.record, event.peak_frames, event.happened_at

        def publish_record() -> None:
            if isinstance(record, LiveScores):
                delay = time.time() - event.arrival
                self.streams.publish_scores(stream_id, holder, record, delay, happened_at)
            elif isinstance(record, LiveNotice):
                self.streams.publish_notice(stream_id, holder, record)
            else:
                frame = peak_frames.get(record.number)
                webhook = claim.options.webhook
                self.streams.publish_alert(stream_id, holder, record, webhook, frame, happened_at)
                peak_frames.pop(record.number, None)

        retry_while_disk_full(publish_record, released)
        for number, frame in list(peak_frames.items()):
            store = partial(self.streams.store_frame, stream_id, holder, number, frame)
            retry_while_disk_full(store, released)  # of an alert that is gone, it is dropped
            del peak_frames[number]

    def _publish_notice(
        self, claim: StreamClaim, kind: str, text: str, stopped: threading.Event
    ) -> None:
        notice = LiveNotice(kind=kind, text=text)
        publish = partial(self.streams.publish_notice, claim.stream_id, claim.holder, notice)
        retry_while_disk_full(publish, stopped)

    @contextmanager
    def _renewed_lease(
        self, claim: StreamClaim, stopped: threading.Event
    ) -> Iterator[threading.Event]:
        """Renew the lease of a stream while the block runs.

        Yields:
            An event that is set once this watcher must release the stream.
        """
        released, replaced = threading.Event(), self._replaced

        def renew(ended: threading.Event) -> bool:
            is_holder = retry_while_disk_full(
                lambda: self.streams.renew(claim.stream_id, claim.holder), ended
            )
            if not is_holder or stopped.is_set() or replaced.is_set():
                released.set()
            return not released.is_set()

        with repeat_in_background(renew, RENEW_SECONDS):
            yield released
