"""AEGM, the anomaly explanation module (paper 3.2): captions → cleaned captions → explanation E.

T snippets · c captioned snippets · D feature width · ⟨·,·⟩ cosine
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from exvad.results import Explanation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.aegm.prompts import Prompt
    from exvad.encoders.protocols import LanguageModel

MOST_OBJECTS = 16
_SENTENCE = re.compile(r'"(summary|reason)"\s*:\s*"((?:[^"\\]|\\.)*)')
_CUT_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{0,3}$")


class ExplanationError(ValueError):
    """A language model's answer is no explanation: says what is wrong with it."""


def explanation_prompt(prompt: Prompt, captions: Sequence[str], classes: Sequence[str]) -> str:
    """Fill P_S with numbered captions; the same caption in a row is written once per number."""
    numbered = "\n".join(f"{number}: {caption}" for number, caption in enumerate(captions, 1))
    return prompt.fill(captions=numbered, classes=", ".join(classes), normal=classes[0])


def refused_prompt(prompt: str, error: ExplanationError) -> str:
    """Ask again after an answer that could not be used, and say what was wrong with it."""
    return f"{prompt}\n(The last answer was refused: {error})\n"


def words_so_far(answer: str) -> str:
    """Return what can be read of a record that is still being written: summary, then reason."""
    found = dict(_SENTENCE.findall(answer))
    told = [_unescaped(found[name]) for name in ("summary", "reason") if name in found]
    return " ".join(told)


def _unescaped(text: str) -> str:
    whole = _CUT_ESCAPE.sub("", text)
    try:
        said = str(json.loads(f'"{whole}"', strict=False))
    except ValueError:
        said = whole
    return said.encode("utf-8", "ignore").decode()  # half of a pair of escapes is no letter yet


def explanation_schema(classes: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of an explanation record, for engines that hold answers to one."""
    sentence = {"type": "string", "minLength": 1}
    properties = {
        "anomalous": {"type": "boolean"},
        "category": {"type": "string", "enum": list(classes)},
        "summary": sentence,
        "reason": sentence,
        "evidence": {"type": "array", "items": {"type": "integer"}},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_explanation(answer: str, classes: Sequence[str], num_captions: int) -> Explanation:
    """Read a language model's answer as an explanation record.

    Text around the JSON object is ignored, and so are objects that are no record; class names are
    matched without regard to case.

    Args:
        answer: what the model wrote.
        classes: the known classes, the normal one first.
        num_captions: how many captions the model was shown.

    Raises:
        ExplanationError: there is no JSON object, a field is missing, the category is unknown, or
            verdict and category contradict each other.
    """
    starts = [place for place, letter in enumerate(answer) if letter == "{"][:MOST_OBJECTS]
    if not starts:
        raise ExplanationError(f"no JSON object in the answer {_short(answer)}")
    problems = []
    for start in starts:
        try:
            return _parse_object(answer, start, classes, num_captions)
        except ExplanationError as error:
            problems.append(error)
    # The first brace is where the model meant to begin.
    raise problems[0]


def _parse_object(
    answer: str, start: int, classes: Sequence[str], num_captions: int
) -> Explanation:
    try:
        raw, _ = json.JSONDecoder().raw_decode(answer, start)
        record = Explanation.model_validate(raw)
    except json.JSONDecodeError as error:
        raise ExplanationError(f"broken JSON ({error.msg}) in {_short(answer)}") from None
    except RecursionError:
        raise ExplanationError(f"broken JSON (endless brackets) in {_short(answer)}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "record"
        raise ExplanationError(f"{field}: {first['msg']} in {_short(answer)}") from None
    known = {name.lower(): name for name in classes}
    category = known.get(record.category.strip().lower())
    if category is None:
        raise ExplanationError(f"unknown category {record.category!r}; known: {', '.join(classes)}")
    if record.anomalous != (category != classes[0]):
        raise ExplanationError(f"anomalous={record.anomalous} contradicts category {category!r}")
    evidence = [number for number in dict.fromkeys(record.evidence) if 1 <= number <= num_captions]
    return record.model_copy(update={"category": category, "evidence": evidence})


def explain(
    videos: Sequence[Sequence[str]],
    llm: LanguageModel,
    prompt: Prompt,
    classes: Sequence[str],
    attempts: int = 2,
) -> list[Explanation | ExplanationError]:
    """Ask a language model for the explanation E = Φ_LLM(P_S, T̂) of each video (equation 3).

    Args:
        videos: the cleaned captions of each video.
        llm: the language model.
        prompt: P_S.
        classes: the known classes, the normal one first.
        attempts: how often a video is asked about at most; the model is told what was wrong.

    Returns:
        For each video its explanation, or the error of the last attempt.
    """
    results: list[Explanation | ExplanationError] = [ExplanationError("not asked")] * len(videos)
    prompts = [explanation_prompt(prompt, captions, classes) for captions in videos]
    waiting = list(range(len(videos)))
    for _ in range(attempts):
        answers = llm.complete([prompts[index] for index in waiting])
        for index, answer in zip(waiting, answers, strict=True):
            try:
                results[index] = parse_explanation(answer, classes, len(videos[index]))
            except ExplanationError as error:
                results[index] = error
                first = explanation_prompt(prompt, videos[index], classes)
                prompts[index] = refused_prompt(first, error)
        waiting = [index for index in waiting if isinstance(results[index], ExplanationError)]
        if not waiting:
            break
    return results


def _unit(rows_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    rows_ND = rows_ND.astype(np.float32)
    norm_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
    unit_ND: NDArray[np.float32] = rows_ND / np.maximum(norm_N1, 1e-12)
    return unit_ND


def _short(text: str, limit: int = 80) -> str:
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
