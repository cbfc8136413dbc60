"""A second look at the events of detection without training: captions, and what they say.

The frames with the highest scores of each event are captioned, and the language model explains
them, event by event. With `zero_shot.verify` its explanation confirms or rejects the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.captioned_videos import CaptionedVideo
from exvad.aegm.explanation_format import ExplanationError
from exvad.aegm.language_stage import LanguageSettings, LanguageStage
from exvad.aegm.vision_stage import plan_video
from exvad.encoders.answers import NoAnswerError
from exvad.encoders.endpoint import EndpointError
from exvad.inference.answers import video_label
from exvad.results import Explanation
from exvad.results.disagreement import describe_disagreement
from exvad.store.examples import whole_example
from exvad.video.container import VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.checkpoints.zero_shot import ZeroShotModel
    from exvad.config import Config
    from exvad.encoders.protocols import Models
    from exvad.results import Analysis, DetectedEvent
    from exvad.store.feature_bank import VideoFeatures
    from exvad.video.decoder import Decoder

MAX_LOOKS = 16  # events of a video, so that a long one takes a bounded time
NOT_TAKEN = "{} not looked at again: {}"
REJECTED = "a second look rejected {}: {}"
NOT_ALL = "only the {} strongest of {} events were looked at again"


@dataclass(frozen=True)
class _Look:
    """What a second look at an event has found.

    Args:
        event: the event.
        snippets: indices of its captioned snippets.
        captions: their captions.
        answer: cleaned captions and the explanation, or why there is none.
    """

    event: DetectedEvent
    snippets: list[int]
    captions: list[str]
    answer: tuple[list[str], Explanation] | ExplanationError

    @property
    def cleaned(self) -> list[str]:
        """The cleaned captions, as they are without an explanation."""
        return self.captions if isinstance(self.answer, ExplanationError) else self.answer[0]


@dataclass(frozen=True)
class SecondLook:
    """Captions and explains the events of a video.

    Args:
        config: how videos are split and decoded, and the models.
        models: the frozen models.
        decoder: decodes the frames again.
    """

    config: Config
    models: Models
    decoder: Decoder

    def take(
        self, path: str | Path, features: VideoFeatures, analysis: Analysis, model: ZeroShotModel
    ) -> Analysis:
        """Return the analysis with captions and explanations of its events, without rejected ones.

        Every event is explained by itself, so that one may be rejected and another one confirmed.
        Where a model gives no answer, the events stay, and `problems` says why.

        Args:
            path: the video.
            features: its features.
            analysis: its analysis with the scenes of the memory, which name the frames to look at.
            model: the detector that made it.
        """
        shown = [event for event in analysis.events if event.captions]
        strongest = sorted(shown, key=lambda event: -event.score)[:MAX_LOOKS]
        events = sorted(strongest, key=lambda event: event.start)
        problems = list(analysis.problems)
        if len(events) < len(analysis.events):
            problems.append(NOT_ALL.format(len(events), len(analysis.events)))
        try:
            looks = self._look(path, features, analysis, events, model)
        except (NoAnswerError, EndpointError, VideoError) as error:
            problems.append(NOT_TAKEN.format("the events were", error))
            return analysis.model_copy(update={"problems": problems})
        for look in looks:
            if isinstance(look.answer, ExplanationError):
                problems.append(NOT_TAKEN.format(f"{_shown(look.event)} was", look.answer))
        return _conclude(looks, features, analysis, model, problems)

    def _look(
        self,
        path: str | Path,
        features: VideoFeatures,
        analysis: Analysis,
        events: Sequence[DetectedEvent],
        model: ZeroShotModel,
    ) -> list[_Look]:
        """Look at events, in order of time.

        Raises:
            EndpointError: a model's endpoint can't be used.
            NoAnswerError: the captioner refuses a frame.
            VideoError: the frames can't be decoded again.
        """
        times_T = np.asarray(features.times)
        snippets = [
            [int(np.abs(times_T - analysis.captions[n - 1].time).argmin()) for n in event.captions]
            for event in events
        ]
        captions = iter(self._caption(path, [index for group in snippets for index in group]))
        videos = [
            CaptionedVideo(
                features.video_id, group, list(islice(captions, len(group))), features.visual[group]
            )
            for group in snippets
        ]
        settings = LanguageSettings.from_config(self.config, model.classes)
        settings = replace(settings, segment_captions=0)  # an event is one segment
        rows = LanguageStage(self.models.clip, self.models.llm, settings).explain(videos)
        return [
            _Look(event, list(video.caption_snippets), list(video.captions), _read_row(row))
            for event, video, row in zip(events, videos, rows, strict=True)
        ]

    def _caption(self, path: str | Path, snippets: Sequence[int]) -> list[str]:
        """Return a caption of the frame of each snippet.

        Raises:
            NoAnswerError: the captioner refuses a frame.
            VideoError: the frames can't be decoded again.
        """
        _, tasks = plan_video(Path(path).name, str(path), self.config, self.decoder)
        captions: list[str] = []
        for chunk in (task.chunk for task in tasks):
            inside = [
                snippet - chunk.first_snippet
                for snippet in snippets
                if chunk.first_snippet <= snippet < chunk.first_snippet + chunk.num_snippets
            ]
            if inside:
                frames: NDArray[np.uint8] = self.decoder.decode(
                    chunk, self.config.data.short_side
                ).frames[inside]
                captions += self.models.captioner.caption(frames)
        return captions


def _conclude(
    looks: Sequence[_Look],
    features: VideoFeatures,
    analysis: Analysis,
    model: ZeroShotModel,
    problems: list[str],
) -> Analysis:
    """Return the analysis that looks at its events lead to."""
    explained: list[tuple[DetectedEvent, Explanation]] = []
    offset = 0
    for look in looks:
        if not isinstance(look.answer, ExplanationError):
            record = look.answer[1]
            evidence = [number + offset for number in record.evidence]
            explained.append((look.event, record.model_copy(update={"evidence": evidence})))
        offset += len(look.captions)
    if not explained:
        return analysis.model_copy(update={"problems": problems})
    rejected: list[float] = []
    if model.config.zero_shot.verify:
        for event, record in explained:
            if not record.anomalous:
                rejected.append(event.start)
                problems.append(REJECTED.format(_shown(event), record.reason))
    # The answer is explained by its strongest event; by a rejected one if there is no other.
    event, explanation = max(
        explained, key=lambda item: (item[0].start not in rejected, item[0].score)
    )
    features = replace(
        features,
        caption_snippets=[index for look in looks for index in look.snippets],
        captions=[caption for look in looks for caption in look.captions],
        cleaned_captions=[caption for look in looks for caption in look.cleaned],
        explanation=explanation.text,
        record=explanation.model_dump(),
    )
    (prediction,) = model.predict([whole_example(features)])
    looked_at = model.compose(features, prediction, analysis.video, problems)
    kept = [event for event in looked_at.events if event.start not in rejected]
    label = video_label(kept, prediction, model.classes) if kept else model.classes[0]
    concluded = looked_at.model_copy(update={"events": kept, "label": label})
    return concluded.model_copy(update={"disagreement": describe_disagreement(concluded)})


def _read_row(
    row: dict[str, Any] | ExplanationError,
) -> tuple[list[str], Explanation] | ExplanationError:
    if isinstance(row, ExplanationError):
        return row
    return list(row["cleaned_captions"]), Explanation.model_validate_json(row["record"])


def _shown(event: DetectedEvent) -> str:
    return f"{event.label} at {event.start:.1f} s"
