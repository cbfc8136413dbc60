"""What takes analyses from the queue and answers them; one at a time, and never twice."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exvad.data.video import VideoError, probe
from serve.models import ServedModel

if TYPE_CHECKING:
    from exvad.detector import Detector
    from exvad.results import Analysis
    from serve.queue import Claim, Queue
    from serve.settings import ServerSettings

IDLE_SECONDS = 0.2


class Worker:
    """Answers queued analyses with one detector.

    Args:
        detector: answers about a file.
        queue: where the work is.
        settings: limits of what is looked at.
        shown: how the model is called to those who ask for it.
    """

    def __init__(
        self, detector: Detector, queue: Queue, settings: ServerSettings, shown: str = ""
    ) -> None:
        self.detector = detector
        self.queue = queue
        self.settings = settings
        self.name = uuid.uuid4().hex
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
        swept, greeted = 0.0, -math.inf
        while not stopped.is_set():
            if time.monotonic() - greeted > self.settings.lease_seconds / 3:
                greeted = time.monotonic()
                self.queue.greet(self.name, self.about)
            if not self.work():
                stopped.wait(IDLE_SECONDS)
            if time.monotonic() - swept > 600:
                swept = time.monotonic()
                self.queue.forget_older(self.settings.keep_hours)

    def work(self) -> bool:
        """Take one analysis and answer it; False if none waits."""
        claimed = self.queue.claim(self.name)
        if claimed is None:
            return False
        number = claimed.number
        with self._lease(number):
            try:
                outcome: Analysis | str = self._analyze(claimed)
            except (ValueError, OSError) as error:
                outcome = str(error).replace(str(claimed.path), claimed.name)
        if self.queue.finish(number, self.name, outcome):
            kind = "failed" if isinstance(outcome, str) else "done"
            self.queue.say(number, kind, {"error": outcome} if isinstance(outcome, str) else {})
        return True

    def _analyze(self, claim: Claim) -> Analysis:
        number, name, path, options = claim
        info = probe(path)
        seconds = info.num_frames / info.fps
        if seconds > self.settings.max_seconds:
            raise VideoError(name, f"lasts {seconds:.0f} s, more than {self.settings.max_seconds}")
        if info.width * info.height > self.settings.max_pixels:
            raise VideoError(name, f"pictures of {info.width}x{info.height} are too large")

        def progress(share: float) -> None:
            self.queue.renew(number, self.name, share)
            self.queue.say(number, "progress", {"progress": share})

        found = self.detector.analyze(path, progress, options.categories, options.threshold)
        found = found.model_copy(update={"video": name})
        self.queue.say(number, "scores", {"times": found.times, "scores": found.scores})
        events = [event.model_dump() for event in found.events]
        self.queue.say(number, "events", {"events": events})
        if found.explanation is not None:
            self.queue.say(number, "explanation", found.explanation.model_dump())
        return found

    @contextmanager
    def _lease(self, number: str) -> Iterator[None]:
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self.settings.lease_seconds / 3):
                self.queue.renew(number, self.name)
                self.queue.greet(self.name, self.about)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
