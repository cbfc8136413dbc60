"""LAVAD: captions, a summary of every moment, and a language model's score (Zanella et al., 2024).

Every snippet takes the caption of its video that is most similar to its image. A language model
sums up the captions of a window of ten seconds around it, and rates the summary. The score of a
window is the mean over those summaries of the video that are most similar to what the window shows.

T snippets of a video · N windows · M frames of a window · D feature width · C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.prompts import load_prompt
from exvad.aegm.text_feature import text_features
from exvad.baselines.common.refinement import interpolate, refine
from exvad.evaluation.training_free.answers import (
    AnswerCount,
    ask,
    read_answers,
    read_score,
    read_summary,
)
from exvad.evaluation.training_free.scoring import TrainingFreeResult, collect, fill_unanswered
from exvad.evaluation.training_free.windows import (
    Windows,
    cut_windows,
    snippet_captions,
    window_features,
    window_texts,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder, LanguageModel
    from exvad.store.feature_bank import VideoFeatures


@dataclass(frozen=True)
class LavadSettings:
    """The settings of LAVAD; the defaults are its numbers.

    Args:
        seconds: length of a window.
        frames: M, captions of a window.
        every: distance of the windows in snippets; scores between them lie on straight lines.
        clean: whether captions are cleaned by similarity; else the nearest in time counts.
        summarize: whether the captions are summed up; else they are rated themselves.
        role: whether the model is asked as somebody of the police, as for UCF-Crime and not for
            XD-Violence.
        similar: summaries that the refinement averages; 0 for no refinement.
    """

    seconds: float = 10.0
    frames: int = 10
    every: int = 1
    clean: bool = True
    summarize: bool = True
    role: bool = True
    similar: int = 10


class Lavad:
    """Scores videos by their captions; see the module.

    Args:
        clip: the encoder of the image features, for texts.
        llm: the language model.
        settings: windows and steps.
        label_CD: label embeddings for the zero-shot class map (F3), the normal class first; None
            for no class map.
    """

    def __init__(
        self,
        clip: ImageTextEncoder,
        llm: LanguageModel,
        settings: LavadSettings | None = None,
        label_CD: NDArray[np.floating] | None = None,
    ) -> None:
        self.clip, self.llm, self.label_CD = clip, llm, label_CD
        self.settings = settings or LavadSettings()
        self._summary_prompt = load_prompt("training_free/lavad_summary")
        self._score_prompt = load_prompt("training_free/lavad_score")
        self._role = load_prompt("training_free/lavad_role").text if self.settings.role else ""

    def score(self, videos: Sequence[VideoFeatures]) -> TrainingFreeResult:
        """Score every snippet of videos; see `TrainingFreeSystem.score`."""
        counts = {"summaries": AnswerCount()} if self.settings.summarize else {}
        counts["scores"] = AnswerCount()
        scores = []
        for video in videos:
            scores_T, video_counts = self._score_video(video)
            scores.append(scores_T)
            counts = {step: count + video_counts[step] for step, count in counts.items()}
        return collect("LAVAD", videos, scores, counts, self.label_CD)

    def _score_video(
        self, video: VideoFeatures
    ) -> tuple[NDArray[np.floating] | None, dict[str, AnswerCount]]:
        settings = self.settings
        windows = cut_windows(video.times, settings.seconds, settings.frames, settings.every)
        caption_T = snippet_captions(video, self.clip, settings.clean)
        scenes: Sequence[str | None] = window_texts(video, caption_T, windows.rows_NM)
        counts = {}
        if settings.summarize:
            prompts = [self._summary_prompt.fill(scene=scene) for scene in scenes]
            scenes, counts["summaries"] = read_answers(ask(self.llm, prompts), read_summary)
        described = [index for index, scene in enumerate(scenes) if scene is not None]
        prompts = [
            self._score_prompt.fill(role=self._role, summary=scenes[index]).strip()
            for index in described
        ]
        rated, counts["scores"] = read_answers(ask(self.llm, prompts), read_score)
        ratings: list[float | None] = [None] * len(scenes)
        for index, rating in zip(described, rated, strict=True):
            ratings[index] = rating
        scores_N = fill_unanswered(windows.centres_N, ratings)
        if scores_N is None:
            return None, counts
        if settings.similar:
            texts = [str(scenes[index]) for index in described]
            scores_N = self._refine(video, windows, scores_N[described], texts)
        return interpolate(np.arange(len(video.visual)), windows.centres_N, scores_N), counts

    def _refine(
        self,
        video: VideoFeatures,
        windows: Windows,
        scores_M: NDArray[np.float64],
        texts: Sequence[str],
    ) -> NDArray[np.float64]:
        """Return the scores [N] of all windows from those of the M windows with texts."""
        distinct = list(dict.fromkeys(texts))
        row_of = {text: row for row, text in enumerate(distinct)}
        text_MD = text_features(self.clip, distinct)[[row_of[text] for text in texts]]
        query_ND = window_features(video.visual, windows)
        return refine(scores_M, query_ND, text_MD, self.settings.similar)
