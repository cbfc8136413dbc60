"""LAAM's label augmentation (paper 3.4): class → m phrases → the k nearest → label embedding F_L.

C classes · m phrases per class · D feature width
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from exvad.aegm.prompts import Prompt
    from exvad.encoders.protocols import LanguageModel


PACKAGED = "package:"

_LIST_MARK = re.compile(r"^\s*(?:\d+[.):]|[-*•])\s*")


class LabelPhrases(BaseModel):
    """The label file of a data set: class → phrases, the normal class first, and their origin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phrases: dict[str, list[str]] = Field(description="class → its m phrases")
    origin: str = Field(min_length=1, description="who or what wrote the phrases")

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in order."""
        return tuple(self.phrases)

    @classmethod
    def read(cls, path: str | Path) -> LabelPhrases:
        """Read a label file; `package:NAME` is one that comes with exvad.

        Raises:
            ValueError: the file is missing or is no label file.
        """
        try:
            name = str(path)
            if name.startswith(PACKAGED):
                folder = resources.files("exvad") / "assets" / "labels"
                content = (folder / f"{name.removeprefix(PACKAGED)}.json").read_bytes()
            else:
                content = Path(path).read_bytes()
            return cls.model_validate_json(content)
        except FileNotFoundError:
            raise ValueError(f"no label file {path}: run jobs/labels.py first") from None
        except ValidationError as error:
            raise ValueError(f"{path} is no label file: {error.errors()[0]['msg']}") from None


def readable(label: str) -> str:
    """Return a class name as running text: RoadAccidents → road accidents."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]+", " ", label)
    return re.sub(r"\s+", " ", spaced).strip().lower()


def phrase_prompt(prompt: Prompt, label: str, count: int) -> str:
    """Fill the prompt that asks for `count` phrases about a class."""
    return prompt.fill(label=readable(label), count=count)


def write_phrases(
    classes: Sequence[str], llm: LanguageModel, prompt: Prompt, count: int, attempts: int = 2
) -> dict[str, list[str]]:
    """Have a language model write m phrases about each class.

    Args:
        classes: class names.
        llm: the language model.
        prompt: the prompt that asks for phrases.
        count: m, phrases per class.
        attempts: how often a class is asked about at most.

    Raises:
        ValueError: the model gives no usable list for a class.
    """
    phrases: dict[str, list[str]] = {}
    for _ in range(attempts):
        waiting = [label for label in classes if len(phrases.get(label, [])) < count]
        if not waiting:
            break
        answers = llm.complete([phrase_prompt(prompt, label, count) for label in waiting])
        for label, answer in zip(waiting, answers, strict=True):
            kept = dict.fromkeys([*phrases.get(label, []), *parse_phrases(answer)])
            phrases[label] = list(kept)[:count]
    lacking = [
        f"{label} ({len(phrases[label])})" for label in classes if len(phrases[label]) < count
    ]
    if lacking:
        raise ValueError(
            f"the language model wrote fewer than {count} phrases for {', '.join(lacking)}: "
            "lower labels.phrases, or choose another model or prompt"
        )
    return {label: phrases[label] for label in classes}


def parse_phrases(answer: str) -> list[str]:
    """Read a list of phrases: a JSON list where there is one, else one phrase per line.

    Where lines are numbered or have bullets, the others are no phrases.
    """
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
    # Numbers or bullets tell the phrases from what is said around them.
    listed = [line for line in lines if _LIST_MARK.match(line)]
    bare = (_LIST_MARK.sub("", line).strip(' "[],{}') for line in listed or lines)
    return [line for line in bare if line]
