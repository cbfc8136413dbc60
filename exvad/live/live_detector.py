"""The detector on a live stream: causal windows, alerts, and an explanation of each alert.

A score depends only on frames up to its own time. The network sees a window of the last snippets.
Its text feature is that of the last explanation, and zeros before the first. Grounded text stands
where the last explanation says, and the newest snippets read what is nearest and most like them.

W snippets of the window · t new snippets · C classes · D feature width
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from exvad.checkpoints.zero_shot import ZeroShotModel, is_zero_shot
from exvad.inference.events import find_events
from exvad.live.alert_gate import AlertGate
from exvad.live.alerts import Alert, AlertRule, AlertTracker, Change, LocatedEvents, locate
from exvad.live.live_domain import LiveDomain
from exvad.live.live_explainer import LiveExplainer, RecentFrame, Unexplained
from exvad.live.settings import LiveSettings
from exvad.results.disagreement import describe_contradiction
from exvad.results.live import LiveAlert, LiveNotice, LiveScores, Record
from exvad.store.examples import Example
from exvad.store.grounding import text_width
from exvad.video.frame_buffer import LiveFrame, Notice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.checkpoints.zero_shot import AnyCheckpoint
    from exvad.encoders.protocols import Models
    from exvad.inference.prediction import Prediction

SETTLE_SECONDS = 0.1  # between two looks at an explanation after the end of a stream


class _Unplaced(NamedTuple):
    """An alert that ended and is not placed by the text of its whole window yet.

    Args:
        unlocated: from the first to the last snippet that was scored as such.
        alert: as it ended.
    """

    unlocated: Alert
    alert: Alert


class LiveDetector:
    """Scores the frames of one stream as they arrive.

    Args:
        checkpoint: the trained detector, or the one without training.
        models: the frozen models.
        rule: the rule of alerts.
        settings: how the stream is scored and explained.
        executor: runs explanations while scoring goes on; None to run them at once.
        on_peak: called with an alert that began or reached a new peak, and the frame of the peak.
    """

    def __init__(
        self,
        checkpoint: AnyCheckpoint,
        models: Models,
        rule: AlertRule,
        settings: LiveSettings | None = None,
        executor: Executor | None = None,
        on_peak: Callable[[Alert, NDArray[np.uint8]], None] | None = None,
    ) -> None:
        self.checkpoint, self.models = checkpoint, models
        self.settings = settings or LiveSettings()
        self.tracker = AlertTracker(rule, checkpoint.classes, self.settings.alerts)
        self._explainer = LiveExplainer(checkpoint, models, self.settings, executor)
        self._on_peak = on_peak
        zero_shot = checkpoint.config.zero_shot
        verifies = is_zero_shot(checkpoint) and zero_shot.verify and self.settings.explain
        self._gate = AlertGate(zero_shot.verify_seconds) if verifies else None
        self._visual: deque[NDArray[np.float16]] = deque(maxlen=self.settings.window)
        self._times: deque[float] = deque(maxlen=self.settings.window)
        self._gaps: deque[tuple[float, float]] = deque(maxlen=self.settings.window)
        self._domain = LiveDomain(checkpoint.domain, checkpoint.config.data.about, self.settings)
        self._unplaced: _Unplaced | None = None

    def process(self, frames: Sequence[LiveFrame]) -> list[Record]:
        """Score new frames and return the records they cause.

        Args:
            frames: new frames, one per snippet, oldest first; none to collect an explanation that
                has come meanwhile, and alerts that were held for too long.
        """
        records: list[Record] = []
        for shape in dict.fromkeys(frame.frame.shape for frame in frames):
            records += self._process_batch(
                [frame for frame in frames if frame.frame.shape == shape]
            )
        return self._gated(records + self._collect_explanation())

    def add_notice(self, notice: Notice) -> list[Record]:
        """Return the records of a notice about the source: alerts that were held, and the notice.

        Args:
            notice: the notice.
        """
        record = LiveNotice(kind=notice.kind, text=notice.text, count=notice.count)
        return self._gated([record])

    def release(self) -> list[Record]:
        """Return what is held of alerts: they are not confirmed, and nobody watches any more."""
        return [] if self._gate is None else self._gate.release()

    def settle(self) -> Iterator[Record]:
        """Yield what a second look decides about alerts that are held, within its bounded time."""
        while self._gate is not None and self._gate.is_holding and self._explainer.busy:
            yield from self.process([])
            if self._gate.is_holding:
                time.sleep(SETTLE_SECONDS)

    def finish(self) -> list[Record]:
        """End the active alert, wait for explanations, and return the last records."""
        records: list[Record] = []
        for change, alert in self.tracker.close():
            records.append(self._alert_record(alert, change))
            self._explain(alert, change, alert.end)
        while self._explainer.busy:
            self._explainer.wait()
            records += self._collect_explanation()
        return self._gated(records) + self.release()

    def _gated(self, records: list[Record]) -> list[Record]:
        """Hold alerts that a second look has to confirm first."""
        return records if self._gate is None else self._gate.filter(records)

    def _process_batch(self, frames: Sequence[LiveFrame]) -> list[Record]:
        """Score frames of one size."""
        images = np.stack([frame.frame for frame in frames])
        visual_tD = self.models.clip.encode_images(images).astype(np.float16)
        times, scores = list[float](), list[float]()
        notices, alerts = list[Record](), list[Record]()
        for frame, visual_D in zip(frames, visual_tD, strict=True):
            alerts += self._end_at_gaps(frame)
            self._visual.append(visual_D)
            self._times.append(frame.time)
            recent = RecentFrame(frame.frame, visual_D, frame.time)
            self._explainer.add_frame(recent)
            notices += self._domain.add(visual_D)
            prediction = self._score_window()
            times.append(frame.time)
            scores.append(float(np.clip(self._scores(prediction)[-1], 0, 1)))
            if len(self._visual) >= min(self.settings.context, self.settings.window):
                alerts += self._update_alerts(recent, scores[-1], prediction)
                self._explainer.request_if_due(frame.time)
        return [*notices, LiveScores(times=times, scores=scores), *alerts]

    def _score_window(self) -> Prediction:
        """Return the prediction of the newest snippets, up to the newest of all."""
        visual_WD = np.stack(self._visual).astype(np.float32)
        text: NDArray[np.float32] | None = None
        if self._explainer.grounded is not None:
            text = self._explainer.grounded.spread(visual_WD, np.array(self._times))
        elif self.checkpoint.config.model.text != "none":
            last_D = self._explainer.text_D
            width = text_width(self.checkpoint.config.model.text, visual_WD.shape[1])
            text = np.zeros(width, np.float32) if last_D is None else last_D.astype(np.float32)
        (prediction,) = self.checkpoint.predict(
            [Example("", visual_WD, text)], max_snippets=self.settings.window
        )
        return prediction

    def _scores(self, prediction: Prediction) -> NDArray[np.float32]:
        return prediction.scores[self.checkpoint.calibration.branch]

    def _locate_events(self, prediction: Prediction) -> LocatedEvents:
        """Return the events of the newest snippets, found as in a file that ends here.

        A score that was given at its time had no later snippets to compare with. With them, an
        event begins where the analysis of a file lets it begin, which is often earlier.
        """
        times_W = np.array(self._times)
        events = find_events(
            self._scores(prediction),
            prediction.probabilities_TC,
            times_W,
            float(times_W[-1]),
            self.checkpoint.classes,
            self.checkpoint.calibration,
            gaps=list(self._gaps),
        )
        return LocatedEvents(events, float(times_W[0]))

    def _end_at_gaps(self, frame: LiveFrame) -> list[Record]:
        """End the alert that would extend over a gap before a frame; return its record."""
        records: list[Record] = []
        for gap in filter(self.tracker.rule.ends_at, frame.gaps):
            self._gaps.append(gap)
            for change, alert in self.tracker.interrupt(*gap):
                records.append(self._alert_record(alert, change))
                self._explain(alert, change, alert.end)
        return records

    def _update_alerts(
        self, recent: RecentFrame, score: float, prediction: Prediction
    ) -> list[Record]:
        """Update the tracker with a scored frame; return the records of alerts that change."""
        records: list[Record] = []
        before = self.tracker.active
        probabilities_C = prediction.probabilities_TC[-1].astype(float).tolist()
        events = self._locate_events(prediction)
        for change, alert in self.tracker.update(recent.time, score, probabilities_C, events):
            records.append(self._with_scene(self._alert_record(alert, change), recent))
            self._explain(alert, change, recent.time)
        active = self.tracker.active
        if self._on_peak and active and (before is None or active.peak > before.peak):
            self._on_peak(active, recent.frame)
        return records

    def _explain(self, alert: Alert, change: Change, time: float) -> None:
        """Explain an alert that begins or ends."""
        if change == "ended" and self._explainer.feeds_network:
            assert self.tracker.unlocated is not None
            self._unplaced = _Unplaced(self.tracker.unlocated, alert)
        if change in ("began", "ended"):
            self._explainer.request(alert, time, ended=change == "ended")

    def _with_scene(self, record: LiveAlert, recent: RecentFrame) -> LiveAlert:
        """Add the scene of the memory that explains an alert, where no model will explain it."""
        checkpoint = self.checkpoint
        if not isinstance(checkpoint, ZeroShotModel) or not self.settings.explain:
            return record
        # The snippet at the end of an alert shows no incident any more.
        if checkpoint.config.zero_shot.uses_models or record.state not in ("began", "changed"):
            return record
        explanation, captions = checkpoint.explain_alert(recent.visual_D, record.label)
        return record.model_copy(update={"explanation": explanation, "captions": captions})

    def _collect_explanation(self) -> list[Record]:
        """Return the records that the explanation causes that is finished, if any."""
        result = self._explainer.collect()
        if isinstance(result, Unexplained):
            self._unplaced = None
            return [LiveNotice(kind="unexplained", text=str(result))]
        if result is None:
            return []
        ended = self._unplaced
        if result.alert is None and (ended is None or result.time >= ended.alert.end):
            return self._place_alert()
        if ended is not None:
            self._explainer.request(None, self._times[-1])  # of the window up to now
        if result.alert is None:
            return []
        active = self.tracker.active
        still_active = active is not None and active.number == result.alert.number
        alert = active if active is not None and still_active else result.alert
        record = self._alert_record(alert, "explained")
        content = {
            "explanation": result.explanation,
            "captions": result.captions,
            "disagreement": describe_contradiction([alert.label], result.explanation),
        }
        return [record.model_copy(update=content)]

    def _place_alert(self) -> list[Record]:
        """Return the record of the alert that ended last, if it is placed differently now.

        The network was trained with the text of whole videos. The text of an alert's first frames
        makes its event shorter, and so does a text of few captions.
        """
        ended, self._unplaced = self._unplaced, None
        if ended is None:
            return []
        alert = locate(ended.unlocated, self._locate_events(self._score_window()))
        if alert is ended.unlocated:  # no event there
            return []
        placed = replace(ended.alert, start=alert.start, end=alert.end, label=alert.label)
        return [] if placed == ended.alert else [self._alert_record(placed, "placed")]

    def _alert_record(
        self, alert: Alert, state: Change | Literal["explained", "placed"]
    ) -> LiveAlert:
        confidence = self.checkpoint.calibration.confidence(alert.peak)
        return LiveAlert(
            number=alert.number,
            state=state,
            start=alert.start,
            end=alert.end,
            label=alert.label,
            peak=alert.peak,
            confidence=confidence * self._domain.confidence_weight,
            domain=self._domain.notice,
        )


def watch(source: Iterator[list[LiveFrame] | Notice], detector: LiveDetector) -> Iterator[Record]:
    """Yield the records of a stream until it ends.

    Args:
        source: frames and notices; see `LiveSource.follow`. An empty list of frames says that there
            are none now.
        detector: the detector.
    """
    for item in source:
        if isinstance(item, Notice):
            yield from detector.add_notice(item)
        else:
            yield from detector.process(item)
    yield from detector.settle()
    yield from detector.finish()
