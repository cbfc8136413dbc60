"""The language stage: captions → cleaned captions → explanation → text features, per video.

The output is one row per video of the feature store's language stage. Preprocessing computes the
rows on a cluster; the detectors compute the row of their own video.

c captioned snippets · N distinct captions or segments · D feature width
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm.cleaning import CleanedCaptions, clean_captions
from exvad.aegm.explanation import explain, explanation_prompt, retry_prompt
from exvad.aegm.explanation_format import ExplanationError
from exvad.aegm.prompts import Prompt, load_prompt
from exvad.aegm.segments import combine_explanations, place_explanations, split_captions
from exvad.aegm.text_feature import text_feature, text_features

if TYPE_CHECKING:
    from exvad.aegm.captioned_videos import CaptionedVideo
    from exvad.config import Config
    from exvad.encoders.protocols import ImageTextEncoder, LanguageModel
    from exvad.results import Explanation


@dataclass(frozen=True)
class LanguageSettings:
    """The settings of the language stage.

    Args:
        prompt: P_S.
        classes: class names, the normal class first.
        attempts: maximum number of answers per video.
        window: maximum distance of equation 2 in captioned frames; None for no limit.
        llm_name: name of the language model, stored with every row.
        segment_captions: maximum number of captions per explanation; 0 for any number.
    """

    prompt: Prompt
    classes: Sequence[str]
    attempts: int
    window: int | None
    llm_name: str
    segment_captions: int = 0

    @classmethod
    def from_config(cls, config: Config, classes: Sequence[str]) -> LanguageSettings:
        """Read the settings from a configuration.

        Raises:
            ValueError: the configured prompt does not exist.
        """
        return cls(
            load_prompt(config.llm.prompt),
            tuple(classes),
            config.llm.attempts,
            config.cleaning.window,
            config.llm.model,
            config.llm.segment_captions,
        )


@dataclass(frozen=True)
class CleanedVideo:
    """A video with cleaned captions, ready for the language model.

    Args:
        video_id: the video.
        caption_snippets: indices of the captioned snippets, ascending.
        captions: their raw captions T_i.
        cleaned: their cleaned captions T̂_i with features.
    """

    video_id: str
    caption_snippets: Sequence[int]
    captions: Sequence[str]
    cleaned: CleanedCaptions

    def to_row(self) -> dict[str, Any]:
        """Return the video as strings and bytes, to send it between processes."""
        fields = [
            list(self.caption_snippets),
            list(self.captions),
            self.cleaned.captions,
            self.cleaned.changed,
        ]
        return {
            "video_id": self.video_id,
            "captions": json.dumps(fields),
            "features": self.cleaned.features_cD.tobytes(),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> CleanedVideo:
        """Rebuild a video from `to_row`."""
        snippets, captions, cleaned, changed = json.loads(row["captions"])
        features_cD = np.frombuffer(row["features"], np.float32).reshape(len(cleaned), -1)
        return cls(
            str(row["video_id"]), snippets, captions, CleanedCaptions(cleaned, features_cD, changed)
        )


class LanguageRowBuilder:
    """The steps of the language stage before and after the language model.

    Args:
        clip: E_T.
        settings: prompt, classes and cleaning window.
    """

    def __init__(self, clip: ImageTextEncoder, settings: LanguageSettings) -> None:
        self.clip = clip
        self.settings = settings

    def clean(self, videos: Sequence[CaptionedVideo]) -> list[CleanedVideo]:
        """Clean the captions of each video (equation 2).

        Each video is encoded in a call of its own, because the last bits of a feature may depend on
        its batch, and in float32 on a CPU a row must not depend on the other videos. Within a video
        every distinct caption is encoded once.
        """
        cleaned_videos = []
        for video in videos:
            distinct = list(dict.fromkeys(video.captions))
            row_of = {caption: row for row, caption in enumerate(distinct)}
            features_ND = self.clip.encode_texts(distinct)
            cleaned = clean_captions(
                video.captions,
                video.image_cD,
                features_ND[[row_of[caption] for caption in video.captions]],
                self.settings.window,
            )
            cleaned_videos.append(
                CleanedVideo(video.video_id, video.caption_snippets, video.captions, cleaned)
            )
        return cleaned_videos

    def build_prompt(self, video: CleanedVideo, last_error: str = "") -> str:
        """Fill P_S for a video.

        Args:
            video: the video.
            last_error: why the last answer could not be used; empty for the first attempt.
        """
        settings = self.settings
        prompt = explanation_prompt(settings.prompt, video.cleaned.captions, settings.classes)
        return retry_prompt(prompt, ExplanationError(last_error)) if last_error else prompt

    def build_segmented_row(
        self,
        video: CleanedVideo,
        segments: Sequence[range],
        explanations: Sequence[Explanation],
    ) -> dict[str, Any]:
        """Return the row of a video that is explained in segments.

        Args:
            video: the video.
            segments: the indices of each segment's captions.
            explanations: their explanations, with the caption numbers of the whole video.
        """
        row = self.build_row(video, combine_explanations(explanations))
        if len(segments) == 1:
            return row
        features_ND = text_features(self.clip, [segment.text for segment in explanations])
        return row | {
            "segment_ends": [segment.stop for segment in segments],
            "segment_records": [segment.model_dump_json() for segment in explanations],
            "segment_text": features_ND.ravel(),
        }

    def build_row(self, video: CleanedVideo, explanation: Explanation) -> dict[str, Any]:
        """Return the row of a video for the store's language stage, with F_T = E_T(E)."""
        return {
            "video_id": video.video_id,
            "captions": list(video.captions),
            "caption_snippets": list(video.caption_snippets),
            "cleaned_captions": video.cleaned.captions,
            "changed": video.cleaned.changed,
            "explanation": explanation.text,
            "record": explanation.model_dump_json(),
            "text": text_feature(self.clip, explanation.text),
            "caption_text": video.cleaned.features_cD,
            "llm": self.settings.llm_name,
            "prompt": self.settings.prompt.identity,
        }


class LanguageStage:
    """The whole language stage in one process: captioned videos → rows.

    Args:
        clip: E_T.
        llm: Φ_LLM.
        settings: prompt, classes, attempts and cleaning window.
    """

    def __init__(
        self, clip: ImageTextEncoder, llm: LanguageModel, settings: LanguageSettings
    ) -> None:
        self.row_builder = LanguageRowBuilder(clip, settings)
        self.llm = llm

    def explain(self, videos: Sequence[CaptionedVideo]) -> list[dict[str, Any] | ExplanationError]:
        """Return the language row of each video, or the error of the model's last answer."""
        cleaned_videos, settings = self.row_builder.clean(videos), self.row_builder.settings
        split = [
            split_captions(len(video.captions), settings.segment_captions)
            for video in cleaned_videos
        ]
        answers = iter(
            explain(
                [
                    video.cleaned.captions[segment.start : segment.stop]
                    for video, segments in zip(cleaned_videos, split, strict=True)
                    for segment in segments
                ],
                self.llm,
                settings.prompt,
                settings.classes,
                settings.attempts,
            )
        )
        return [
            self._build_row(video, segments, list(islice(answers, len(segments))))
            for video, segments in zip(cleaned_videos, split, strict=True)
        ]

    def _build_row(
        self,
        video: CleanedVideo,
        segments: Sequence[range],
        answers: Sequence[Explanation | ExplanationError],
    ) -> dict[str, Any] | ExplanationError:
        explanations = place_explanations(answers, segments)
        if isinstance(explanations, ExplanationError):
            return explanations
        return self.row_builder.build_segmented_row(video, segments, explanations)


def language_fingerprint(config: Config, classes: Sequence[str]) -> dict[str, Any]:
    """Return what the rows of the language stage depend on, apart from the vision stage."""
    segments = config.llm.segment_captions
    return {
        "clip": config.clip.model,
        "clip_pretrained": config.clip.pretrained,
        "clip_dtype": config.clip.dtype,
        "llm": config.llm.model,
        "llm_backend": config.llm.backend,
        "llm_dtype": config.llm.dtype,
        "prompt": load_prompt(config.llm.prompt).identity,
        "max_new_tokens": config.llm.max_new_tokens,
        "cleaning_window": config.cleaning.window,
        "classes": list(classes),
        # Absent without segments: stores of earlier code have no such setting.
        **({"segment_captions": segments} if segments else {}),
    }
