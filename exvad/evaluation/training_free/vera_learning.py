"""The learning of VERA's guiding questions from videos with labels, in words (Ye et al., 2025).

In every step the judge decides about a few training videos with the questions so far. An optimizer,
a language model, sees its answers beside the truth and writes better questions. Those that are
right about most validation videos are kept.

M frames of a video
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.prompts import load_prompt
from exvad.encoders.answers import without_thoughts
from exvad.evaluation.training_free.answers import (
    AnswerCount,
    read_answers,
    read_questions,
    read_verdict,
)
from exvad.evaluation.training_free.vera import VideoParts, question_lines, start_questions
from exvad.evaluation.training_free.windows import caption_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.answers import Answer
    from exvad.encoders.protocols import LanguageModel
    from exvad.evaluation.training_free.vera import Judge
    from exvad.store.feature_bank import VideoFeatures


@dataclass(frozen=True)
class LabelledVideo:
    """A video with a label of the whole.

    Args:
        video: features and captions.
        abnormal: the label.
    """

    video: VideoFeatures
    abnormal: bool


@dataclass(frozen=True)
class LearningSettings:
    """The settings of the learning; the defaults are VERA's numbers.

    Args:
        frames: M, frames or captions of a video, at equal distances.
        batch: videos per step.
        epochs: passes over the training videos.
        validate_every: steps between validations; the last step is always followed by one.
        seed: decides the order of the videos.
    """

    frames: int = 8
    batch: int = 2
    epochs: int = 10
    validate_every: int = 100
    seed: int = 0


@dataclass(frozen=True)
class LearnedQuestions:
    """The result of the learning.

    Args:
        questions: the best questions on the validation videos; of equally good ones the earliest.
        accuracy: their share of right verdicts; an answer without a verdict is wrong.
        history: step → accuracy of the questions after it; 0 is before the first step.
        answers: "verdicts" and "questions" → the answers of all steps.
    """

    questions: tuple[str, ...]
    accuracy: float
    history: dict[int, float]
    answers: dict[str, AnswerCount]


def learn_questions(
    judge: Judge,
    optimizer: LanguageModel,
    training: Sequence[LabelledVideo],
    validation: Sequence[LabelledVideo],
    settings: LearningSettings | None = None,
    start: Sequence[str] | None = None,
) -> LearnedQuestions:
    """Learn guiding questions; the models stay frozen.

    Args:
        judge: decides about videos.
        optimizer: writes questions.
        training: the videos of the steps.
        validation: the videos that choose among the questions.
        settings: batches and validations.
        start: the questions to start with; None for those of the package.

    Raises:
        ValueError: there are no training or no validation videos, or a video has no captions.
    """
    if not training or not validation:
        raise ValueError(
            f"learning needs training and validation videos, but there are {len(training)} and "
            f"{len(validation)}"
        )
    settings = settings or LearningSettings()
    prompt = load_prompt("training_free/vera_improve")
    questions = start_questions() if start is None else tuple(start)
    counts = {"verdicts": AnswerCount(), "questions": AnswerCount()}
    best, history = questions, {0: -1.0}
    history[0] = best_accuracy = _accuracy(judge, validation, questions, settings, counts)
    batches = list(_batches(len(training), settings))
    for step, batch in enumerate(batches, 1):
        cases = [training[index] for index in batch]
        answers = _look(judge, cases, questions, settings)
        verdicts, count = read_answers(answers, read_verdict)
        counts["verdicts"] += count
        blocks = [
            _describe_case(number, case, answer, verdict, settings)
            for number, (case, answer, verdict) in enumerate(
                zip(cases, answers, verdicts, strict=True), 1
            )
        ]
        filled = prompt.fill(questions=question_lines(questions), cases="\n\n".join(blocks))
        written, count = read_answers(optimizer.complete([filled]), read_questions)
        counts["questions"] += count
        # Without readable questions the step changes nothing.
        questions = written[0] or questions
        if step % settings.validate_every == 0 or step == len(batches):
            history[step] = _accuracy(judge, validation, questions, settings, counts)
            if history[step] > best_accuracy:
                best, best_accuracy = questions, history[step]
    return LearnedQuestions(best, best_accuracy, history, counts)


def uniform_rows(length: int, frames: int) -> NDArray[np.intp]:
    """Return snippets of a video at equal distances, [1, M]; of a short one some twice.

    Args:
        length: T.
        frames: M.
    """
    return np.rint((np.arange(frames) + 0.5) * length / frames - 0.5).astype(np.intp)[None]


def _look(
    judge: Judge,
    videos: Sequence[LabelledVideo],
    questions: Sequence[str],
    settings: LearningSettings,
) -> list[Answer]:
    """Return the judge's answer about each video as a whole."""
    shown = [
        VideoParts(case.video, uniform_rows(len(case.video.visual), settings.frames))
        for case in videos
    ]
    return judge.answer(shown, questions)


def _accuracy(
    judge: Judge,
    videos: Sequence[LabelledVideo],
    questions: Sequence[str],
    settings: LearningSettings,
    counts: dict[str, AnswerCount],
) -> float:
    answers = _look(judge, videos, questions, settings)
    verdicts, count = read_answers(answers, read_verdict)
    counts["verdicts"] += count
    right = [
        verdict == float(case.abnormal) for verdict, case in zip(verdicts, videos, strict=True)
    ]
    return float(np.mean(right))


def _describe_case(
    number: int,
    case: LabelledVideo,
    answer: Answer,
    verdict: float | None,
    settings: LearningSettings,
) -> str:
    """Return what the optimizer reads about a video: captions, the judge's answer, the truth."""
    rows_M = uniform_rows(len(case.video.visual), settings.frames)[0]
    parts = [f"Video {number}:"]
    if case.video.captions:
        captioned_c = np.asarray(case.video.caption_snippets)
        nearest_M = np.abs(rows_M[:, None] - captioned_c).argmin(1)
        parts.append(caption_lines(case.video.captions[row] for row in nearest_M))
    decided = "unreadable" if verdict is None else str(int(verdict))
    said = answer.refusal or " ".join(without_thoughts(answer.text).split())
    parts += [f"Answer: {said}", f"Decided: {decided}", f"Truth: {int(case.abnormal)}"]
    return "\n".join(parts)


def _batches(count: int, settings: LearningSettings) -> Iterator[list[int]]:
    """Yield the videos of every step; each pass has another order, and a last smaller batch."""
    rng = np.random.default_rng(settings.seed)
    for _ in range(settings.epochs):
        order = rng.permutation(count).tolist()
        for start in range(0, count, settings.batch):
            yield order[start : start + settings.batch]
