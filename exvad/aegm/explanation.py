"""Explanations of AEGM, E = Φ_LLM(P_S, T̂) (paper, equation 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exvad.aegm.explanation_format import ExplanationError, RefusalError, parse_answer

if TYPE_CHECKING:
    from exvad.aegm.prompts import Prompt
    from exvad.encoders.protocols import LanguageModel
    from exvad.results import Explanation


def explanation_prompt(prompt: Prompt, captions: Sequence[str], classes: Sequence[str]) -> str:
    """Fill P_S for one video.

    Args:
        prompt: P_S, with the placeholders `captions`, `classes` and `normal`.
        captions: T̂, in temporal order; the prompt numbers them from 1.
        classes: class names, the normal class first.
    """
    numbered = "\n".join(f"{number}: {caption}" for number, caption in enumerate(captions, 1))
    return prompt.fill(captions=numbered, classes=", ".join(classes), normal=classes[0])


def retry_prompt(prompt: str, error: ExplanationError) -> str:
    """Append to a prompt why its last answer could not be used."""
    return f"{prompt}\n(The last answer was refused: {error})\n"


def explain(
    videos: Sequence[Sequence[str]],
    llm: LanguageModel,
    prompt: Prompt,
    classes: Sequence[str],
    attempts: int = 2,
) -> list[Explanation | ExplanationError]:
    """Generate the explanation E = Φ_LLM(P_S, T̂) of each video (equation 3).

    Args:
        videos: T̂ of each video.
        llm: Φ_LLM.
        prompt: P_S.
        classes: class names, the normal class first.
        attempts: maximum number of answers per video. Each retry contains the error of the last
            answer. A refusal is not retried.

    Returns:
        For each video its explanation, or the error of its last answer.
    """
    results: list[Explanation | ExplanationError] = [ExplanationError("no answer")] * len(videos)
    prompts = [explanation_prompt(prompt, captions, classes) for captions in videos]
    pending = list(range(len(videos)))
    for _ in range(attempts):
        answers = llm.complete([prompts[index] for index in pending])
        rejected = []
        for index, answer in zip(pending, answers, strict=True):
            try:
                results[index] = parse_answer(answer, classes, len(videos[index]))
            except RefusalError as error:
                results[index] = error
            except ExplanationError as error:
                results[index] = error
                first_prompt = explanation_prompt(prompt, videos[index], classes)
                prompts[index] = retry_prompt(first_prompt, error)
                rejected.append(index)
        pending = rejected
        if not pending:
            break
    return results
