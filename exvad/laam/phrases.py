"""Label phrases of LAAM: class name → m phrases that describe the class (paper, section 3.4)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from exvad.config.addresses import shown_address
from exvad.data.annotations.class_names import composed_keys
from exvad.data.storage.packaged import read_packaged
from exvad.encoders.answers import without_thoughts

if TYPE_CHECKING:
    from exvad.aegm.prompts import Prompt
    from exvad.encoders.protocols import LanguageModel

_LIST_MARK = re.compile(r"^\s*(?:\d+[.):]|[-*•])\s*")


class LabelPhrases(BaseModel):
    """The label file of a data set: class → phrases, the normal class first, and their origin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phrases: dict[str, list[str]] = Field(description="class → its m phrases")
    origin: str = Field(min_length=1, description="who or what wrote the phrases")

    @field_validator("phrases")
    @classmethod
    def _compose_names(cls, phrases: dict[str, list[str]]) -> dict[str, list[str]]:
        return composed_keys(phrases)  # as the names of a data set

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the normal class first."""
        return tuple(self.phrases)

    @classmethod
    def read(cls, path: str | Path) -> LabelPhrases:
        """Read a label file.

        Args:
            path: a JSON file, its URI, or `package:NAME` for a label file that ships with exvad.

        Raises:
            ValueError: the file does not exist or is not a label file.
        """
        shown = shown_address(str(path))
        try:
            return cls.model_validate_json(read_packaged(path, "labels"))
        except FileNotFoundError:
            raise ValueError(
                f"no label file {shown}: run `exvad labels` first, or correct labels.file"
            ) from None
        except ValidationError as error:
            raise ValueError(
                f"{shown} is no label file: {error.errors()[0]['msg']}; correct it, or run `exvad "
                "labels` again"
            ) from None


def readable_label(label: str) -> str:
    """Return a class name as lower-case words: RoadAccidents → road accidents."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]+", " ", label)
    return re.sub(r"\s+", " ", spaced).strip().lower()


def phrase_prompt(prompt: Prompt, label: str, count: int) -> str:
    """Fill the prompt for the phrases of one class.

    Args:
        prompt: the template, with the placeholders `label` and `count`.
        label: class name.
        count: m.
    """
    return prompt.fill(label=readable_label(label), count=count)


def write_phrases(
    classes: Sequence[str], llm: LanguageModel, prompt: Prompt, count: int, attempts: int = 2
) -> dict[str, list[str]]:
    """Generate m phrases for each class with a language model.

    Args:
        classes: class names.
        llm: the language model.
        prompt: the template of the prompt.
        count: m, phrases per class.
        attempts: maximum number of answers per class; their distinct phrases are added up.

    Returns:
        class → m distinct phrases.

    Raises:
        ValueError: the model wrote fewer than m phrases for a class.
    """
    phrases: dict[str, list[str]] = {label: [] for label in classes}
    defects: dict[str, str] = {}
    for _ in range(attempts):
        incomplete = [label for label in classes if len(phrases[label]) < count]
        if not incomplete:
            break
        answers = llm.complete([phrase_prompt(prompt, label, count) for label in incomplete])
        for label, answer in zip(incomplete, answers, strict=True):
            parsed = parse_phrases(answer.text)
            # The last phrase of an answer that was cut off is only the beginning of one.
            whole = parsed[:-1] if answer.cut_off_at else parsed
            distinct = dict.fromkeys([*phrases[label], *whole])
            defects[label] = answer.describe_defect("llm.max_new_tokens")
            phrases[label] = list(distinct)[:count]
    too_few = [
        f"{label} ({len(phrases[label])})" for label in classes if len(phrases[label]) < count
    ]
    if too_few:
        reasons = [defects[label] for label in classes if len(phrases[label]) < count]
        reason = next(filter(None, reasons), "")
        raise ValueError(
            f"the language model wrote fewer than {count} phrases for {', '.join(too_few)}: "
            + (reason or "lower labels.phrases, or choose another model or prompt")
        )
    return phrases


def parse_phrases(answer: str) -> list[str]:
    """Parse a list of phrases from a language model's answer.

    The answer may be a JSON list or have one phrase per line. If any line has a number or a bullet,
    lines without one are ignored. The model's thoughts before the list are dropped.

    Returns:
        The phrases in order; empty if the answer has none.
    """
    phrases = [_without_halves(phrase).strip() for phrase in _find_phrases(answer)]
    return [phrase for phrase in phrases if phrase]


def _without_halves(text: str) -> str:
    """Return a text without surrogates that lack their pair, which no file can hold."""
    return text.encode("utf-8", "ignore").decode()


def _find_phrases(answer: str) -> list[str]:
    answer = without_thoughts(answer)
    start = answer.find("[")
    if start >= 0:
        try:
            raw, _ = json.JSONDecoder().raw_decode(answer, start)
        except (json.JSONDecodeError, RecursionError):
            raw = []
        phrases = [item.strip() for item in raw if isinstance(item, str) and item.strip()]
        if phrases:
            return phrases
    lines = answer.splitlines()
    marked_lines = [line for line in lines if _LIST_MARK.match(line)]
    return [_LIST_MARK.sub("", line).strip(' "[],{}') for line in marked_lines or lines]
