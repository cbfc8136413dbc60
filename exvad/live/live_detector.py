"""The detector on a live stream: causal windows, alerts, and an explanation of each.

Every score rests on the pictures up to its own time. The network sees a window of the last
snippets, the text is that of the last explanation; until there is one, it has none.

W snippets of the window · t new snippets · D feature width
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from exvad.aegm.explanation import ExplanationError
from exvad.aegm.language_stage import CaptionedVideo, LanguageSettings, LanguageStage
from exvad.live.alerts import Alert, AlertRule, AlertTracker, Change
from exvad.results import Explanation
from exvad.results.live import LiveAlert, LiveNotice, LiveScores, Record
from exvad.store.examples import Example
from exvad.video.live_source import LiveFrame, Notice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.checkpoints.checkpoint import Checkpoint
    from exvad.encoders.protocols import Models


BEFORE_SECONDS = 3.0  # of what led to an alert that its explanation rests on


@dataclass(frozen=True)
class LiveSettings:
    """How a stream is watched.

    Args:
        window: W, snippets the network sees at once.
        context: how many it must have seen before anything may ring: with fewer before it, a
            snippet's score is a guess.
        caption_every: every which snippet may be shown to the captioner.
        explain_seconds: how often the text is renewed; it also is when an alert begins and ends.
        explain: whether to caption and explain at all.
        alerts: how many alerts the stream has had already.
    """

    window: int = 64
    context: int = 4
    caption_every: int = 4
    explain_seconds: float = 30.0
    explain: bool = True
    alerts: int = 0


@dataclass(frozen=True)
class _Shot:
    """A picture that may be captioned."""

    frame: NDArray[np.uint8]
    visual_D: NDArray[np.float16]
    time: float


class LiveDetector:
    """Scores the pictures of one stream as they come.

    Args:
        checkpoint: the trained detector.
        models: the frozen models.
        rule: what makes an alert.
        settings: how the stream is watched.
        helper: where explanations are written while scoring goes on; None to wait for them.
        on_peak: told an alert that began or rose, with its picture.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        models: Models,
        rule: AlertRule,
        settings: LiveSettings | None = None,
        helper: Executor | None = None,
        on_peak: Callable[[Alert, NDArray[np.uint8]], None] | None = None,
    ) -> None:
        self.checkpoint, self.models = checkpoint, models
        self.settings = settings or LiveSettings()
        self.alarm = AlertTracker(rule, checkpoint.labels.classes, self.settings.alerts)
        self._helper, self._on_peak = helper, on_peak
        self._visual: deque[NDArray[np.float16]] = deque(maxlen=self.settings.window)
        shots = max(1, self.settings.window // self.settings.caption_every)
        self._shots: deque[_Shot] = deque(maxlen=shots)
        self._count = 0
        self._text_D: NDArray[np.floating] | None = None
        self._explained = -np.inf
        self._writing: Future[_Told] | None = None
        self._about: Alert | None = None  # what is being explained
        self._next: Alert | None = None  # what is to be explained next

    def see(self, pictures: Sequence[LiveFrame]) -> list[Record]:
        """Take new pictures, oldest first, and return what there is to say."""
        records: list[Record] = []
        for size in dict.fromkeys(picture.frame.shape for picture in pictures):
            alike = [picture for picture in pictures if picture.frame.shape == size]
            records += self._see(alike)
        return records + self._written()

    def finish(self) -> list[Record]:
        """End what goes on, wait for explanations, and return what there is to say."""
        records: list[Record] = []
        for state, alert in self.alarm.close():
            records.append(_alert(alert, state))
            self._explain(alert, alert.end)
        while self._writing is not None:
            self._writing.exception()
            records += self._written()
        return records

    def _see(self, pictures: Sequence[LiveFrame]) -> list[Record]:
        frames = np.stack([picture.frame for picture in pictures])
        visual_tD = self.models.clip.encode_images(frames).astype(np.float16)
        times, scores, changes = [], [], list[Record]()
        for picture, visual_D in zip(pictures, visual_tD, strict=True):
            self._visual.append(visual_D)
            if self._count % self.settings.caption_every == 0:
                self._shots.append(_Shot(picture.frame, visual_D, picture.time))
            self._count += 1
            score, shares_C = self._score()
            times.append(picture.time)
            scores.append(score)
            if len(self._visual) < min(self.settings.context, self.settings.window):
                continue
            before = self.alarm.alert
            for state, alert in self.alarm.feed(picture.time, score, shares_C):
                changes.append(_alert(alert, state))
                if state == "began" and self._shots[-1].time < picture.time:
                    # What it is about must be among the captions, whosever turn it is.
                    self._shots.append(_Shot(picture.frame, visual_D, picture.time))
                if state in ("began", "ended"):
                    self._explain(alert, picture.time)
            now = self.alarm.alert
            if self._on_peak and now and (before is None or now.peak > before.peak):
                self._on_peak(now, picture.frame)
            if picture.time - self._explained >= self.settings.explain_seconds:
                self._explain(None, picture.time)
        return [LiveScores(times=times, scores=scores), *changes]

    def _score(self) -> tuple[float, list[float]]:
        """Score the newest snippet, seen with the window before it."""
        config = self.checkpoint.config
        visual_WD = np.stack(self._visual).astype(np.float32)
        text_D = None
        if config.model.text != "none":
            silent_D = np.zeros(visual_WD.shape[1], np.float32)
            text_D = silent_D if self._text_D is None else self._text_D.astype(np.float32)
        (seen,) = self.checkpoint.predict(
            [Example("", visual_WD, text_D)], max_snippets=self.settings.window
        )
        score = float(np.clip(seen.scores[self.checkpoint.calibration.branch][-1], 0, 1))
        return score, seen.probabilities_TC[-1].astype(float).tolist()

    def _explain(self, alert: Alert | None, time: float) -> None:
        """Have the window explained, or after the one that is being explained."""
        if self.checkpoint.config.model.text == "none" or not self.settings.explain:
            return
        if self._writing is not None and not self._writing.done():
            self._next = alert or self._next
            return
        self._about = alert
        self._explained = time
        shots = list(self._shots)
        if alert is not None:
            # What was before has its own story; it would be told instead of this one.
            shots = [shot for shot in shots if shot.time >= alert.start - BEFORE_SECONDS] or shots
        if self._helper is not None:
            self._writing = self._helper.submit(self._write, shots)
            return
        self._writing = Future()
        self._writing.set_result(self._write(shots))

    def _write(self, shots: list[_Shot]) -> _Told:
        size = shots[-1].frame.shape
        alike = [shot for shot in shots if shot.frame.shape == size]
        captions = self.models.captioner.caption(np.stack([shot.frame for shot in alike]))
        settings = LanguageSettings.of(self.checkpoint.config, self.checkpoint.labels.classes)
        stage = LanguageStage(self.models.clip, self.models.llm, settings)
        image_cD = np.stack([shot.visual_D for shot in alike]).astype(np.float32)
        window = CaptionedVideo("window", list(range(len(alike))), captions, image_cD)
        return captions, stage.explain([window])[0]

    def _written(self) -> list[Record]:
        if self._writing is None or not self._writing.done():
            return []
        captions, answer = self._writing.result()
        about, self._writing, self._about = self._about, None, None
        if self._next is not None:
            following, self._next = self._next, None
            self._explain(following, following.end)
        if isinstance(answer, ExplanationError):
            return [LiveNotice(kind="unexplained", text=str(answer))]
        by_kind = {"captions": np.mean(answer["caption_text"], axis=0), "explanation": None}
        text_D = by_kind[self.checkpoint.config.model.text]
        self._text_D = answer["text"] if text_D is None else text_D
        if about is None:
            return []
        now = self.alarm.alert
        current = now if now is not None and now.number == about.number else about
        explanation = Explanation.model_validate_json(answer["record"])
        told = _alert(current, "explained")
        shown = {"explanation": explanation, "captions": answer["cleaned_captions"] or captions}
        return [told.model_copy(update=shown)]


_Told = tuple[list[str], "dict[str, Any] | ExplanationError"]


def watch(source: Iterator[list[LiveFrame] | Notice], detector: LiveDetector) -> Iterator[Record]:
    """Yield what there is to say of a stream until it ends; see `LiveSource.follow`."""
    for found in source:
        if isinstance(found, Notice):
            yield LiveNotice(kind=found.kind, text=found.text, count=found.count)
        else:
            yield from detector.see(found)
    yield from detector.finish()


def _alert(alert: Alert, state: Change | Literal["explained"]) -> LiveAlert:
    return LiveAlert(
        number=alert.number,
        state=state,
        start=alert.start,
        end=alert.end,
        label=alert.label,
        peak=alert.peak,
    )
