"""The worker that claims analyses from the queue and computes them, one at a time."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from exvad.detector.detector import AnalysisCallbacks, TimedAnalysis
from exvad.serving.queue.retrying import retry_while_disk_full
from exvad.serving.schemas.operations import ServedModel
from exvad.serving.sources.paths import path_below
from exvad.serving.sources.spool import Spool
from exvad.serving.workers.errors import MODEL_ERRORS, NoReplicaError, is_device_error
from exvad.serving.workers.timing import Interval, repeat_in_background
from exvad.video.container import VideoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.detector.detector import Detector
    from exvad.results import Analysis
    from exvad.serving.queue.analyses import AnalysisQueue, Claim
    from exvad.serving.settings import ServerSettings
    from exvad.video.survey import VideoInfo

POLL_SECONDS = 0.005
EXPIRY_SECONDS = 1.0  # between two checks for expired leases
CLEANUP_SECONDS = 600.0
TEXT_SECONDS = 0.1  # between two events of the explanation while it is written

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """The analysis was deleted, or another worker holds it: the result is not needed."""


class AnalysisWorker:
    """Computes queued analyses with one detector.

    Args:
        detector: analyzes video files.
        queue: the queue of analyses.
        settings: limits of the videos.
        checkpoint_name: name of the checkpoint that clients see.
        sends_heartbeats: whether this worker reports the model of its replica; one of its workers
            is enough.
    """

    def __init__(
        self,
        detector: Detector,
        queue: AnalysisQueue,
        settings: ServerSettings,
        checkpoint_name: str = "",
        sends_heartbeats: bool = True,
    ) -> None:
        self.queue = queue
        self.settings = settings
        self.holder = uuid.uuid4().hex
        self.sends_heartbeats = sends_heartbeats
        self._stopped = threading.Event()
        self.set_detector(detector, checkpoint_name)

    def set_detector(self, detector: Detector, checkpoint_name: str) -> None:
        """Use another detector from the next analysis on."""
        self.detector = detector
        checkpoint = detector.checkpoint
        self._model = ServedModel(
            model=checkpoint.name,
            checkpoint=checkpoint_name,
            classes=list(checkpoint.classes),
            threshold=checkpoint.calibration.threshold,
            since=time.time(),
        )

    def report_problem(self, problem: str) -> None:
        """Report with every heartbeat why a newer model could not be loaded."""
        self._model = self._model.model_copy(
            update={"problem": problem, "problem_since": time.time()}
        )

    def run(self, stopped: threading.Event) -> None:
        """Compute analyses until `stopped` is set."""
        self._stopped = stopped
        heartbeat = Interval(self.settings.lease_seconds / 3)
        expiry, cleanup = Interval(EXPIRY_SECONDS), Interval(CLEANUP_SECONDS)
        changes = self.queue.detect_changes()
        while not stopped.is_set():
            if heartbeat.is_due():
                self.send_heartbeat()
            # A new analysis is a change of the file; an expired lease is not.
            if changes.has_changed() or expiry.is_due():
                while not stopped.is_set() and self.work():
                    if heartbeat.is_due():
                        self.send_heartbeat()
            stopped.wait(POLL_SECONDS)
            if cleanup.is_due():
                self._clean_up()
        changes.close()

    def work(self) -> bool:
        """Claim one analysis and compute it; False if there is none."""
        claim = self._retry(lambda: self.queue.claim(self.holder))
        if claim is None:
            return False
        with self._renewed_lease(claim.analysis_id):
            outcome: Analysis | str
            timings: dict[str, float] = {}
            try:
                outcome, timings = self._analyze(claim)
            except LeaseLostError:
                self._retry(lambda: self.queue.take_back_attempt(claim.analysis_id, self.holder))
                return True
            except NoReplicaError:
                _LOG.exception("analysis %s waits: a model does not answer", claim.analysis_id)
                self._retry(lambda: self.queue.release(claim.analysis_id, self.holder))
                return True
            except (ValueError, OSError) as error:
                outcome = str(error).replace(str(claim.path), claim.name)
            except MODEL_ERRORS as error:
                if is_device_error(error):
                    raise
                if self._stopped.is_set():  # the process ends, and with it what the models need
                    self._retry(lambda: self.queue.release(claim.analysis_id, self.holder))
                    return True
                _LOG.exception("analysis %s failed", claim.analysis_id)
                outcome = (
                    f"{claim.name}: a model failed on this video ({type(error).__name__}); the "
                    "server's log says where"
                )
            self._finish(claim, outcome, timings)
        return True

    def _finish(self, claim: Claim, outcome: Analysis | str, timings: dict[str, float]) -> None:
        finish = partial(self.queue.finish, claim.analysis_id, self.holder, outcome, timings)
        if not self._retry(finish):
            self._retry(lambda: self.queue.take_back_attempt(claim.analysis_id, self.holder))

    def send_heartbeat(self) -> None:
        """Report that the worker is alive, and the model it uses."""
        if self.sends_heartbeats:
            self._retry(lambda: self.queue.heartbeat(self.holder, self._model))

    def _analyze(self, claim: Claim) -> TimedAnalysis:
        """Analyze a video, and publish its progress and its result.

        Raises:
            LeaseLostError: this worker does not hold the analysis any more.
            ValueError: the video can't be analyzed.
        """
        path, options, text_interval = claim.path, claim.options, Interval(TEXT_SECONDS)
        if not claim.uploaded:  # the path may lead elsewhere since it was submitted
            path = path_below(self.settings.allowed_root, str(path))

        def on_progress(share: float) -> None:
            self._renew(claim, share)
            self._publish(claim, "progress", {"progress": share})

        def on_scores(times_t: NDArray[np.float64], scores_t: NDArray[np.float32]) -> None:
            scores = {"times": times_t.tolist(), "scores": scores_t.astype(float).tolist()}
            self._publish(claim, "first_scores", scores)

        def on_text(text: str) -> None:
            if text_interval.is_due():
                self._publish(claim, "writing", {"text": text})

        callbacks = AnalysisCallbacks(
            on_progress=on_progress,
            on_scores=on_scores,
            on_text=on_text,
            check_video=lambda info: self._check_limits(claim.name, info),
        )
        analysis, timings = self.detector.analyze_timed(
            path,
            options.categories,
            options.threshold,
            options.explain,
            callbacks,
            options.normal,
        )
        analysis = analysis.model_copy(update={"video": claim.name})
        self._publish(claim, "scores", {"times": analysis.times, "scores": analysis.scores})
        events = [event.model_dump() for event in analysis.events]
        self._publish(claim, "events", {"events": events})
        if analysis.explanation is not None:
            self._publish(claim, "explanation", analysis.explanation.model_dump())
        return TimedAnalysis(analysis, timings)

    def _check_limits(self, name: str, info: VideoInfo) -> None:
        """Raise VideoError if a video is longer or larger than the settings allow."""
        seconds, max_seconds = info.num_frames / info.fps, self.settings.max_seconds
        if seconds > max_seconds:
            raise VideoError(name, f"lasts {seconds:.0f} s, more than {max_seconds:g} s")
        if info.width * info.height > self.settings.max_pixels:
            raise VideoError(name, f"frames of {info.width}x{info.height} pixels are too large")

    def _publish(self, claim: Claim, kind: str, data: dict[str, object]) -> None:
        if not self._retry(lambda: self.queue.publish(claim.analysis_id, self.holder, kind, data)):
            raise LeaseLostError

    def _renew(self, claim: Claim, progress: float) -> None:
        if not self._retry(lambda: self.queue.renew(claim.analysis_id, self.holder, progress)):
            raise LeaseLostError

    @contextmanager
    def _renewed_lease(self, analysis_id: str) -> Iterator[None]:
        """Renew the lease of an analysis, and send heartbeats, while the block runs."""

        def renew(_: threading.Event) -> bool:
            self._retry(lambda: self.queue.renew(analysis_id, self.holder))
            self.send_heartbeat()
            return True

        with repeat_in_background(renew, self.settings.lease_seconds / 3):
            yield

    def _clean_up(self) -> None:
        """Delete old analyses, and uploads that no analysis refers to."""
        self._retry(lambda: self.queue.delete_older(self.settings.retention_hours))
        spool = Spool(self.settings.spool / "videos", self.settings.max_bytes)
        spool.delete_orphans(self.queue.has_video)

    def _retry(self, write: Callable[[], T]) -> T:
        return retry_while_disk_full(write, self._stopped)
