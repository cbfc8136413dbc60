"""What takes analyses from the queue and answers them; one at a time, and never twice."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from exvad.detector.detector import Examination, Listener
from exvad.serving.queue.retrying import retry_while_disk_full
from exvad.serving.schemas.analyses import ServedModel
from exvad.serving.sources.spool import Spool, path_below
from exvad.video.chunks import VideoInfo
from exvad.video.container import VideoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.detector.detector import Detector
    from exvad.results import Analysis
    from exvad.serving.queue.analyses import Claim, Queue
    from exvad.serving.settings import ServerSettings

IDLE_SECONDS = 0.005
LOOK_SECONDS = 1.0
WRITING_SECONDS = 0.1  # between two events of what is being written

T = TypeVar("T")


class GoneError(Exception):
    """The analysis was deleted, or is somebody else's by now: nobody waits for this answer."""


class Worker:
    """Answers queued analyses with one detector.

    Args:
        detector: answers about a file.
        queue: where the work is.
        settings: limits of what is looked at.
        shown: how the model is called to those who ask for it.
        greets: whether it is the one of its replica that tells of itself.
    """

    def __init__(
        self,
        detector: Detector,
        queue: Queue,
        settings: ServerSettings,
        shown: str = "",
        greets: bool = True,
    ) -> None:
        self.queue = queue
        self.settings = settings
        self.name = uuid.uuid4().hex
        self.greets = greets
        self._stopped = threading.Event()
        self.use(detector, shown)

    def use(self, detector: Detector, shown: str) -> None:
        """Answer with this detector from the next analysis on."""
        self.detector = detector
        checkpoint = detector.checkpoint
        self.about = ServedModel(
            model=checkpoint.name,
            checkpoint=shown,
            classes=list(checkpoint.labels.classes),
            threshold=checkpoint.calibration.threshold,
            since=time.time(),
        )

    def run(self, stopped: threading.Event) -> None:
        """Work until told to stop."""
        self._stopped = stopped
        swept, greeted, looked = 0.0, -math.inf, -math.inf
        changes = self.queue.changes()
        while not stopped.is_set():
            if time.monotonic() - greeted > self.settings.lease_seconds / 3:
                greeted = time.monotonic()
                self._greet()
            # Work comes by a write, or by a lease that runs out, which nobody writes.
            if changes.seen() or time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                while not stopped.is_set() and self.work():
                    pass
            stopped.wait(IDLE_SECONDS)
            if time.monotonic() - swept > 600:
                swept = time.monotonic()
                self._noted(lambda: self.queue.forget_older(self.settings.keep_hours))
                spool = Spool(self.settings.spool / "videos", self.settings.max_bytes)
                spool.sweep(self.queue.knows)
        changes.close()

    def _greet(self) -> None:
        if self.greets:
            self._noted(lambda: self.queue.greet(self.name, self.about))

    def _noted(self, write: Callable[[], T]) -> T:
        return retry_while_disk_full(write, self._stopped)

    def work(self) -> bool:
        """Take one analysis and answer it; False if none waits."""
        claimed = self._noted(lambda: self.queue.claim(self.name))
        if claimed is None:
            return False
        number = claimed.number
        with self._lease(number):
            timings: dict[str, float] = {}
            try:
                outcome: Analysis | str
                outcome, timings = self._analyze(claimed)
            except GoneError:
                return True
            except (ValueError, OSError) as error:
                outcome = str(error).replace(str(claimed.path), claimed.name)
            self._noted(lambda: self.queue.finish(number, self.name, outcome, timings))
        return True

    def _say(self, number: str, kind: str, data: dict[str, Any]) -> None:
        if not self._noted(lambda: self.queue.tell(number, self.name, kind, data)):
            raise GoneError

    def _analyze(self, claim: Claim) -> Examination:
        number, name, options = claim.number, claim.name, claim.options
        path = claim.path
        if not claim.uploaded:  # what lies there now may be something else than when it was named
            path = path_below(self.settings.allowed_root, str(path))

        def check(info: VideoInfo) -> None:
            seconds, most = info.num_frames / info.fps, self.settings.max_seconds
            if seconds > most:
                raise VideoError(name, f"lasts {seconds:.0f} s, more than {most}")
            if info.width * info.height > self.settings.max_pixels:
                raise VideoError(name, f"pictures of {info.width}x{info.height} are too large")

        def progress(share: float) -> None:
            if not self._noted(lambda: self.queue.renew(number, self.name, share)):
                raise GoneError
            self._say(number, "progress", {"progress": share})

        def scores(times_t: NDArray[np.float64], scores_t: NDArray[np.float32]) -> None:
            told = {"times": times_t.tolist(), "scores": scores_t.astype(float).tolist()}
            self._say(number, "first_scores", told)

        last = -math.inf

        def words(text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= WRITING_SECONDS:
                last = time.monotonic()
                self._say(number, "writing", {"text": text})

        found, timings = self.detector.examine(
            path,
            options.categories,
            options.threshold,
            options.explain,
            Listener(progress, scores, words, check),
        )
        found = found.model_copy(update={"video": name})
        self._say(number, "scores", {"times": found.times, "scores": found.scores})
        events = [event.model_dump() for event in found.events]
        self._say(number, "events", {"events": events})
        if found.explanation is not None:
            self._say(number, "explanation", found.explanation.model_dump())
        return Examination(found, timings)

    @contextmanager
    def _lease(self, number: str) -> Iterator[None]:
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self.settings.lease_seconds / 3):
                self._noted(lambda: self.queue.renew(number, self.name))
                self._greet()

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
