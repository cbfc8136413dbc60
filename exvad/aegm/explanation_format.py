"""The format of an explanation E (paper, equation 3): JSON schema, parser, and partial answers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from exvad.encoders.answers import Answer, NoAnswerError, without_thoughts
from exvad.results import Explanation

MAX_JSON_OBJECTS = 64
LENGTH_SETTING = "llm.max_new_tokens"
_SENTENCE = re.compile(r'"(summary|reason)"\s*:\s*"((?:[^"\\]|\\.)*)')
_CUT_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u[0-9a-fA-F]{0,3}$")


class ExplanationError(NoAnswerError):
    """A language model's answer is no valid explanation; the message says why."""


class RefusalError(ExplanationError):
    """The model or its provider refuses to explain a video; asking again does not help."""


def explanation_schema(classes: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of an explanation, for backends that constrain answers to one.

    Args:
        classes: class names, the normal class first.
    """
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


def parse_answer(answer: Answer, classes: Sequence[str], num_captions: int) -> Explanation:
    """Parse a language model's answer, which may be cut off or a refusal.

    Args:
        answer: the answer.
        classes: class names, the normal class first.
        num_captions: number of captions in the prompt.

    Raises:
        RefusalError: the model or its provider refuses to answer.
        ExplanationError: the answer is cut off before its record is complete, has no text beside
            the model's reasoning, or is no explanation; see `parse_explanation`.
    """
    defect = answer.describe_defect(LENGTH_SETTING)
    if answer.refusal:
        raise RefusalError(defect)
    try:
        return parse_explanation(answer.text, classes, num_captions, whole=not answer.cut_off_at)
    except ExplanationError as error:
        raise (ExplanationError(defect) if defect else error) from None


def parse_explanation(
    text: str, classes: Sequence[str], num_captions: int, whole: bool = True
) -> Explanation:
    """Parse a text that contains an explanation.

    The last valid JSON object after the model's thoughts is the explanation; text and other objects
    around it are ignored, such as a draft before it. Class names match in any case. Evidence
    outside 1 … `num_captions` is dropped.

    Args:
        text: what the model generated.
        classes: class names, the normal class first.
        num_captions: number of captions in the prompt.
        whole: False if the text was cut off; then a broken object at its end is the answer, and the
            objects before it are drafts.

    Raises:
        ExplanationError: there is no JSON object, a field is missing, the category is unknown, or
            verdict and category contradict each other.
    """
    answer = without_thoughts(text)
    starts = [index for index, letter in enumerate(answer) if letter == "{"][-MAX_JSON_OBJECTS:]
    if not starts:
        raise ExplanationError(f"no JSON object in the answer {_quote(answer)}")
    explanation: Explanation | None = None
    broken: list[ExplanationError] = []
    invalid: ExplanationError | None = None
    end = 0  # of the last JSON object
    for start in starts:
        if explanation is not None and start < end:
            continue
        try:
            record, record_end = _decode_object(answer, start)
        except ExplanationError as error:
            broken.append(error)
            if not whole and start >= end:
                explanation = None
            continue
        try:
            explanation = _validate(record, answer, classes, num_captions)
        except ExplanationError as error:
            # The error of an object says more than that of an object inside it.
            invalid = error if start >= end else invalid
        end = max(end, record_end)
    if explanation is not None:
        return explanation
    raise invalid or broken[0]


def partial_text(answer: str) -> str:
    """Return the text of an incomplete answer: its summary, then its reason, as far as generated.

    The model's thoughts are no part of it, nor is a draft once the record after it has begun.

    Args:
        answer: the first part of an answer; it may end anywhere, even inside an escape.
    """
    sentences: dict[str, str] = {}
    for name, sentence in _SENTENCE.findall(without_thoughts(answer)):
        if name in sentences:
            sentences = {}  # of a draft
        sentences[name] = sentence
    return " ".join(
        _unescape(sentences[name]) for name in ("summary", "reason") if name in sentences
    )


def _unescape(text: str) -> str:
    complete = _CUT_ESCAPE.sub(r"\1", text)
    try:
        unescaped = str(json.loads(f'"{complete}"', strict=False))
    except ValueError:
        unescaped = complete
    # A surrogate without its pair is half of a letter that is not complete yet.
    return unescaped.encode("utf-8", "ignore").decode()


def _decode_object(answer: str, start: int) -> tuple[Any, int]:
    """Return the JSON object that begins at an index, and the index of its end."""
    try:
        return json.JSONDecoder().raw_decode(answer, start)
    except json.JSONDecodeError as error:
        raise ExplanationError(f"broken JSON ({error.msg}) in {_quote(answer)}") from None
    except RecursionError:
        raise ExplanationError(f"broken JSON (endless brackets) in {_quote(answer)}") from None


def _validate(raw: Any, answer: str, classes: Sequence[str], num_captions: int) -> Explanation:
    try:
        record = Explanation.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "record"
        raise ExplanationError(f"{field}: {first['msg']} in {_quote(answer)}") from None
    class_names = {name.lower(): name for name in classes}
    category = class_names.get(record.category.strip().lower())
    if category is None:
        raise ExplanationError(f"unknown category {record.category!r}; known: {', '.join(classes)}")
    if record.anomalous != (category != classes[0]):
        raise ExplanationError(f"anomalous={record.anomalous} contradicts category {category!r}")
    evidence = [number for number in dict.fromkeys(record.evidence) if 1 <= number <= num_captions]
    return record.model_copy(update={"category": category, "evidence": evidence})


def _quote(text: str, limit: int = 80) -> str:
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
