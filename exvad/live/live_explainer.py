"""Explanations of a live stream, made from captions of its recent frames.

c captioned frames · D feature width · H, W pixels
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from exvad.aegm.captioned_videos import CaptionedVideo
from exvad.aegm.language_stage import LanguageSettings, LanguageStage
from exvad.aegm.vision_stage import choose_captioned_snippets
from exvad.checkpoints.zero_shot import is_zero_shot
from exvad.encoders.answers import NoAnswerError
from exvad.encoders.endpoint import EndpointError
from exvad.results import Explanation
from exvad.store.grounding import grounded_rows, spread_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.checkpoints.zero_shot import AnyCheckpoint
    from exvad.encoders.protocols import Models
    from exvad.live.alerts import Alert
    from exvad.live.settings import LiveSettings

Unexplained = NoAnswerError | EndpointError
AROUND_SECONDS = 3.0  # of the stream before and after an alert that its explanation may use


@dataclass(frozen=True)
class RecentFrame:
    """A frame that may be captioned.

    Args:
        frame: RGB, uint8 [H, W, 3].
        visual_D: its CLIP feature.
        time: seconds since the stream began.
    """

    frame: NDArray[np.uint8]
    visual_D: NDArray[np.float16]
    time: float


@dataclass(frozen=True)
class WindowExplanation:
    """The explanation of recent frames.

    Args:
        alert: the alert that was to be explained; None for the stream in general.
        explanation: the explanation.
        captions: the captions behind it, in time order.
        time: seconds since the stream began when it was asked for; it knows nothing later.
    """

    alert: Alert | None
    explanation: Explanation
    captions: list[str]
    time: float


@dataclass(frozen=True)
class GroundedWindow:
    """The grounded text of recent frames; see `exvad.store.grounding`.

    Args:
        times_c: seconds of the captioned frames since the stream began.
        visual_cD: their image features.
        text_cD: the text feature at each of them.
    """

    times_c: NDArray[np.float64]
    visual_cD: NDArray[np.float16]
    text_cD: NDArray[Any]

    def spread(
        self, visual_WD: NDArray[np.float32], times_W: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the text feature of each snippet of a window, [W, D].

        Args:
            visual_WD: image features of the snippets.
            times_W: their seconds since the stream began.
        """
        span = float(self.times_c[-1] - self.times_c[0])
        gap = span / max(1, len(self.times_c) - 1) or 1.0
        return spread_text(visual_WD, times_W, self.visual_cD, self.times_c, self.text_cD, gap)


class _Answer(NamedTuple):
    """Captioned frames with their captions and language row, or why there is none."""

    frames: Sequence[RecentFrame]
    captions: list[str]
    row: dict[str, Any] | Unexplained


def explains_with_models(checkpoint: AnyCheckpoint) -> bool:
    """Whether alerts of a checkpoint are explained by the captioner and the language model."""
    if is_zero_shot(checkpoint):
        return checkpoint.config.zero_shot.uses_models
    return checkpoint.config.model.text != "none"


class LiveExplainer:
    """Explains recent frames of one stream, one request after the other.

    Args:
        checkpoint: the trained detector, or the one without training.
        models: the frozen models.
        settings: how often to caption and explain.
        executor: runs the explanations while scoring goes on; None to run them at once.

    Attributes:
        text_D: text feature of the last explanation; None before the first.
        grounded: where its texts stand, if the network was trained with grounded text.
    """

    def __init__(
        self,
        checkpoint: AnyCheckpoint,
        models: Models,
        settings: LiveSettings,
        executor: Executor | None = None,
    ) -> None:
        self.text_D: NDArray[np.floating] | None = None
        self.grounded: GroundedWindow | None = None
        self._text = checkpoint.config.model.text
        untrained = is_zero_shot(checkpoint) and checkpoint.config.zero_shot.uses_models
        self._enabled = settings.explain and explains_with_models(checkpoint)
        # Without a network that needs a text feature, only alerts are explained.
        self._interval = np.inf if untrained else settings.explain_seconds
        self._checkpoint, self._models, self._executor = checkpoint, models, executor
        self._frames: deque[RecentFrame] = deque(maxlen=settings.window)
        self._captions = settings.captions or checkpoint.config.captioner.per_video
        self._last_started = -np.inf
        self._future: Future[_Answer] | None = None
        self._alert: Alert | None = None  # of the explanation in progress
        self._waiting: tuple[Alert, bool] | None = None  # and whether it has ended

    @property
    def busy(self) -> bool:
        """Whether an explanation is in progress or not collected yet."""
        return self._future is not None

    @property
    def feeds_network(self) -> bool:
        """Whether the network reads the texts of the stream."""
        return self._enabled and bool(np.isfinite(self._interval))

    def add_frame(self, frame: RecentFrame) -> None:
        """Add a frame that may be captioned; the oldest one makes room."""
        self._frames.append(frame)

    def request_if_due(self, time: float) -> None:
        """Explain the stream if the last explanation is old.

        Args:
            time: seconds since the stream began.
        """
        if self.feeds_network and time - self._last_started >= self._interval:
            self.request(None, time)

    def request(self, alert: Alert | None, time: float, ended: bool = False) -> None:
        """Explain an alert or the stream; an alert waits until the last explanation is collected.

        Args:
            alert: the alert; None for the stream in general.
            time: seconds since the stream began.
            ended: whether the alert has ended.
        """
        if not self._enabled:
            return
        if self._future is not None:
            self._waiting = self._waiting if alert is None else (alert, ended)
            return
        self._alert, self._last_started = alert, time
        frames = list(self._frames)
        if alert is not None:
            # Other frames show something else, and the explanation would be about that.
            earliest = alert.start - AROUND_SECONDS
            latest = alert.end + AROUND_SECONDS if ended else np.inf
            frames = [frame for frame in frames if earliest <= frame.time <= latest] or frames
        places = choose_captioned_snippets(len(frames), self._captions)
        frames = [frames[place] for place in places]
        if self._executor is not None:
            self._future = self._executor.submit(self._explain, frames)
            return
        self._future = Future()
        self._future.set_result(self._explain(frames))

    def wait(self) -> None:
        """Wait until the explanation in progress is finished."""
        if self._future is not None:
            self._future.exception()

    def collect(self) -> WindowExplanation | Unexplained | None:
        """Return the finished explanation, or why there is none, and start the waiting one.

        Returns:
            None if no explanation is finished.
        """
        if self._future is None or not self._future.done():
            return None
        frames, captions, row = self._future.result()
        alert, time = self._alert, self._last_started
        self._future = self._alert = None
        if self._waiting is not None:
            (waiting, ended), self._waiting = self._waiting, None
            self.request(waiting, waiting.end, ended)
        if isinstance(row, Unexplained):
            return row
        captions_text_D = np.mean(row["caption_text"], axis=0)
        self.text_D = captions_text_D if self._text == "captions" else row["text"]
        if self._text == "grounded":
            self.grounded = GroundedWindow(
                np.array([frame.time for frame in frames]),
                np.stack([frame.visual_D for frame in frames]),
                grounded_rows(row["text"], row["caption_text"], row["record"]),
            )
        explanation = Explanation.model_validate_json(row["record"])
        return WindowExplanation(alert, explanation, row["cleaned_captions"] or captions, time)

    def _explain(self, frames: Sequence[RecentFrame]) -> _Answer:
        """Return the captioned frames, and the row of the language stage or why there is none."""
        newest_shape = frames[-1].frame.shape
        frames = [frame for frame in frames if frame.frame.shape == newest_shape]
        captions: list[str] = []
        try:
            captions = self._models.captioner.caption(np.stack([frame.frame for frame in frames]))
            return _Answer(frames, captions, self._explain_captions(frames, captions))
        except (NoAnswerError, EndpointError) as error:
            # Scoring goes on without explanations.
            return _Answer(frames, captions, error)

    def _explain_captions(
        self, frames: Sequence[RecentFrame], captions: Sequence[str]
    ) -> dict[str, Any] | Unexplained:
        image_cD = np.stack([frame.visual_D for frame in frames]).astype(np.float32)
        window = CaptionedVideo("window", list(range(len(frames))), captions, image_cD)
        language = LanguageSettings.from_config(self._checkpoint.config, self._checkpoint.classes)
        language = replace(language, segment_captions=0)  # a window is short
        (row,) = LanguageStage(self._models.clip, self._models.llm, language).explain([window])
        return row
