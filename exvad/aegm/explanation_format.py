"""The format of an explanation E (paper, equation 3): JSON schema, parser, and partial answers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from exvad.results import Explanation

MAX_JSON_OBJECTS = 16
_SENTENCE = re.compile(r'"(summary|reason)"\s*:\s*"((?:[^"\\]|\\.)*)')
_CUT_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{0,3}$")


class ExplanationError(ValueError):
    """A language model's answer is no valid explanation; the message says why."""


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


def parse_explanation(answer: str, classes: Sequence[str], num_captions: int) -> Explanation:
    """Parse a language model's answer.

    The first valid JSON object is the explanation; text and other objects around it are ignored.
    Class names match in any case. Evidence outside 1 … `num_captions` is dropped.

    Args:
        answer: the text that the model generated.
        classes: class names, the normal class first.
        num_captions: number of captions in the prompt.

    Raises:
        ExplanationError: there is no JSON object, a field is missing, the category is unknown, or
            verdict and category contradict each other.
    """
    starts = [index for index, letter in enumerate(answer) if letter == "{"][:MAX_JSON_OBJECTS]
    if not starts:
        raise ExplanationError(f"no JSON object in the answer {_quote(answer)}")
    errors = []
    for start in starts:
        try:
            return _parse_object(answer, start, classes, num_captions)
        except ExplanationError as error:
            errors.append(error)
    # An answer most likely begins with the explanation, so its first error explains the most.
    raise errors[0]


def partial_text(answer: str) -> str:
    """Return the text of an incomplete answer: its summary, then its reason, as far as generated.

    Args:
        answer: the first part of a JSON object; it may end anywhere, even inside an escape.
    """
    sentences = dict(_SENTENCE.findall(answer))
    return " ".join(
        _unescape(sentences[name]) for name in ("summary", "reason") if name in sentences
    )


def _unescape(text: str) -> str:
    complete = _CUT_ESCAPE.sub("", text)
    try:
        unescaped = str(json.loads(f'"{complete}"', strict=False))
    except ValueError:
        unescaped = complete
    # A surrogate without its pair is half of a letter that is not complete yet.
    return unescaped.encode("utf-8", "ignore").decode()


def _parse_object(
    answer: str, start: int, classes: Sequence[str], num_captions: int
) -> Explanation:
    try:
        raw, _ = json.JSONDecoder().raw_decode(answer, start)
        record = Explanation.model_validate(raw)
    except json.JSONDecodeError as error:
        raise ExplanationError(f"broken JSON ({error.msg}) in {_quote(answer)}") from None
    except RecursionError:
        raise ExplanationError(f"broken JSON (endless brackets) in {_quote(answer)}") from None
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
