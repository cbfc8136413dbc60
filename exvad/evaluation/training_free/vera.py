"""VERA: verdicts with guiding questions, smoothed over similar moments and time (Ye et al., 2025).

A frozen model decides for every window of ten seconds whether something abnormal happens in it,
after it has answered the guiding questions. The verdicts, 0 or 1, are averaged over similar moments
and over time. The questions are learned from videos with labels; see `vera_learning`.

T snippets of a video · N windows · M frames of a window · C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from exvad.aegm.prompts import load_prompt
from exvad.baselines.common.refinement import interpolate
from exvad.baselines.common.smoothing import PostProcessing
from exvad.evaluation.training_free.answers import AnswerCount, ask, read_answers, read_verdict
from exvad.evaluation.training_free.scoring import TrainingFreeResult, collect, fill_unanswered
from exvad.evaluation.training_free.windows import (
    cut_windows,
    snippet_captions,
    window_features,
    window_texts,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.answers import Answer
    from exvad.encoders.protocols import ImageTextEncoder, LanguageModel
    from exvad.store.feature_bank import VideoFeatures


@dataclass(frozen=True)
class VeraSettings:
    """The settings of VERA's scoring; the defaults are its numbers.

    Args:
        seconds: length of a window.
        frames: M, frames or captions of a window.
        every: distance of the windows in snippets; scores between them lie on straight lines.
        unreadable_is_abnormal: count an answer without a verdict as abnormal, as the public code
            does; else its score lies between those of its neighbours. Refusals stay without one.
        after: the steps after the verdicts; `FAITHFUL` of `exvad.baselines.common.smoothing` has
            what only the public code does.
    """

    seconds: float = 10.0
    frames: int = 8
    every: int = 1
    unreadable_is_abnormal: bool = False
    after: PostProcessing = field(default_factory=PostProcessing)


class VideoParts(NamedTuple):
    """Parts of a video that a model looks at.

    Args:
        video: the video.
        rows_NM: the snippets of each part, ascending.
    """

    video: VideoFeatures
    rows_NM: NDArray[np.intp]


class Judge(Protocol):
    """A model that looks at parts of videos and answers the guiding questions."""

    def answer(self, shown: Sequence[VideoParts], questions: Sequence[str]) -> list[Answer]:
        """Return an answer with a verdict for each part of each video, in order.

        Args:
            shown: the parts; those of many videos at once keep a model busy.
            questions: the guiding questions.

        Raises:
            ValueError: a video lacks what the model looks at.
        """
        ...


class CaptionJudge:
    """A language model that reads the captions of each part.

    Args:
        clip: the encoder of the image features, for cleaning captions.
        llm: the language model.
        clean: whether captions are cleaned by similarity; else the nearest in time counts.
    """

    def __init__(self, clip: ImageTextEncoder, llm: LanguageModel, clean: bool = True) -> None:
        self.clip, self.llm, self.clean = clip, llm, clean
        self._prompt = load_prompt("training_free/vera_judge")

    def answer(self, shown: Sequence[VideoParts], questions: Sequence[str]) -> list[Answer]:
        """Return an answer with a verdict for each part; see `Judge.answer`."""
        listed = question_lines(questions)
        prompts = []
        for video, rows_NM in shown:
            caption_T = snippet_captions(video, self.clip, self.clean)
            scenes = window_texts(video, caption_T, rows_NM)
            prompts += [self._prompt.fill(scene=scene, questions=listed) for scene in scenes]
        return ask(self.llm, prompts)


class Vera:
    """Scores videos by verdicts with guiding questions; see the module.

    Args:
        judge: the model that looks at the windows.
        questions: the guiding questions; None for those that learning starts with.
        settings: windows and smoothing.
        label_CD: label embeddings for the zero-shot class map (F3), the normal class first; None
            for no class map.
    """

    def __init__(
        self,
        judge: Judge,
        questions: Sequence[str] | None = None,
        settings: VeraSettings | None = None,
        label_CD: NDArray[np.floating] | None = None,
    ) -> None:
        self.judge, self.label_CD = judge, label_CD
        self.questions = start_questions() if questions is None else tuple(questions)
        self.settings = settings or VeraSettings()

    def score(self, videos: Sequence[VideoFeatures]) -> TrainingFreeResult:
        """Score every snippet of videos; see `TrainingFreeSystem.score`."""
        count = AnswerCount()
        scores = []
        for video in videos:
            scores_T, video_count = self._score_video(video)
            scores.append(scores_T)
            count += video_count
        return collect("VERA", videos, scores, {"verdicts": count}, self.label_CD)

    def _score_video(self, video: VideoFeatures) -> tuple[NDArray[np.floating] | None, AnswerCount]:
        settings = self.settings
        windows = cut_windows(video.times, settings.seconds, settings.frames, settings.every)
        answers = self.judge.answer([VideoParts(video, windows.rows_NM)], self.questions)
        verdicts, count = read_answers(answers, read_verdict)
        if settings.unreadable_is_abnormal:
            verdicts = [
                1.0 if verdict is None and not answer.refusal else verdict
                for verdict, answer in zip(verdicts, answers, strict=True)
            ]
        scores_N = fill_unanswered(windows.centres_N, verdicts)
        if scores_N is None:
            return None, count
        scores_T = interpolate(np.arange(len(video.visual)), windows.centres_N, scores_N)
        whole = cut_windows(video.times, settings.seconds, 1)
        return settings.after.apply(scores_T, window_features(video.visual, whole)), count


def start_questions() -> tuple[str, ...]:
    """Return the guiding questions that learning starts with."""
    return tuple(load_prompt("training_free/vera_questions").text.splitlines())


def question_lines(questions: Sequence[str]) -> str:
    """Return guiding questions as a list, one per line; a hint to none if there is no question."""
    return "\n".join(f"- {question}" for question in questions) or "- (none)"
