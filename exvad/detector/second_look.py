"""A second look at the events of detection without training: captions, and what they say.

The frames with the highest scores of each event are captioned, and the language model explains
them. With `zero_shot.verify` its explanation confirms or rejects the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.captioned_videos import CaptionedVideo
from exvad.aegm.explanation_format import ExplanationError
from exvad.aegm.language_stage import LanguageSettings, LanguageStage
from exvad.aegm.vision_stage import plan_video
from exvad.encoders.answers import NoAnswerError
from exvad.results import Explanation
from exvad.store.examples import whole_example
from exvad.video.container import VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.checkpoints.zero_shot import ZeroShotModel
    from exvad.config import Config
    from exvad.encoders.protocols import Models
    from exvad.results import Analysis
    from exvad.store.feature_bank import VideoFeatures
    from exvad.video.decoder import Decoder

NOT_TAKEN = "the events were not looked at again: {}"
REJECTED = "a second look rejected {}: {}"


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
        """Return the analysis with captions and explanation of its events, and maybe without them.

        Args:
            path: the video.
            features: its features.
            analysis: its analysis with the scenes of the memory, which name the frames to look at.
            model: the detector that made it.

        Raises:
            EndpointError: a model's endpoint can't be used.
        """
        times_T = np.asarray(features.times)
        snippets = [int(np.abs(times_T - caption.time).argmin()) for caption in analysis.captions]
        try:
            captions = self._caption(path, snippets)
            row = self._explain(features, snippets, captions, model)
        except (NoAnswerError, VideoError) as error:
            problems = [*analysis.problems, NOT_TAKEN.format(error)]
            return analysis.model_copy(update={"problems": problems})
        explanation = Explanation.model_validate_json(row["record"])
        explained = replace(
            features,
            caption_snippets=snippets,
            captions=captions,
            cleaned_captions=row["cleaned_captions"],
            explanation=row["explanation"],
            record=explanation.model_dump(),
        )
        (prediction,) = model.predict([whole_example(features)])
        looked_at = model.compose(explained, prediction, analysis.video, analysis.problems)
        if not model.config.zero_shot.verify or explanation.anomalous:
            return looked_at
        events = ", ".join(f"{e.label} at {e.start:.1f} s" for e in analysis.events)
        update = {
            "events": [],
            "label": model.classes[0],
            "problems": [*analysis.problems, REJECTED.format(events, explanation.reason)],
        }
        return looked_at.model_copy(update=update)

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

    def _explain(
        self,
        features: VideoFeatures,
        snippets: Sequence[int],
        captions: Sequence[str],
        model: ZeroShotModel,
    ) -> dict[str, Any]:
        """Return the language row of the captioned frames.

        Raises:
            NoAnswerError: the language model gives no usable answer.
        """
        video = CaptionedVideo(
            features.video_id, list(snippets), list(captions), features.visual[list(snippets)]
        )
        settings = LanguageSettings.from_config(self.config, model.classes)
        # One explanation of all events confirms or rejects them.
        settings = replace(settings, segment_captions=0)
        (row,) = LanguageStage(self.models.clip, self.models.llm, settings).explain([video])
        if isinstance(row, ExplanationError):
            raise row
        return row
