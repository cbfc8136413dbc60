"""LAAM's label augmentation (paper 3.4): class → m phrases → the k nearest → label embedding F_L.

C classes · m phrases per class · D feature width
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders import ImageTextEncoder, LanguageModel
    from exvad.prompts import Prompt

LabelPrompt = Literal["name", "template", "learnable", "augmented"]

PACKAGED = "package:"
TEMPLATE = "a video of {label}"

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
                folder = resources.files("exvad") / "labels"
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


def nearest_phrases(
    label_D: NDArray[np.floating], phrase_mD: NDArray[np.floating], k: int
) -> NDArray[np.intp]:
    """Choose the k phrases nearest to their label by cosine (equation 6).

    Args:
        label_D: embedding v_L of the class name.
        phrase_mD: embeddings v_Si of its phrases.
        k: how many to keep, 0 ≤ k ≤ m.

    Returns:
        Indices of the chosen phrases, nearest first.
    """
    cosine_m = _unit(phrase_mD) @ _unit(label_D)
    return np.argsort(-cosine_m, kind="stable")[:k]


def label_embeddings(
    labels: LabelPhrases, encoder: ImageTextEncoder, strategy: LabelPrompt, k: int = 4
) -> NDArray[np.float32]:
    """Compute the label embeddings F_L, unit vectors of shape [C, D].

    Args:
        labels: the classes and their phrases.
        encoder: CLIP's text encoder.
        strategy: `name` embeds the class name, `template` "a video of …", `augmented` the mean of
            name and its k nearest phrases (all normalised, the result again); `learnable` starts
            from `template` and is trained by the network.
        k: phrases kept per class; 0 leaves the name alone.

    Raises:
        ValueError: k is larger than the number of phrases of a class.
    """
    names = [readable(label) for label in labels.classes]
    if strategy in ("template", "learnable"):
        return _unit(encoder.encode_texts([TEMPLATE.format(label=name) for name in names]))
    name_CD = encoder.encode_texts(names)
    if strategy == "name":
        return _unit(name_CD)
    short = [label for label, phrases in labels.phrases.items() if len(phrases) < k]
    if short:
        raise ValueError(f"k = {k}, but {', '.join(short)} has fewer phrases: lower labels.k")
    phrases = [phrase for label in labels.classes for phrase in labels.phrases[label]]
    phrase_PD = encoder.encode_texts(phrases)
    rows, start = [], 0
    for name_D, label in zip(name_CD, labels.classes, strict=True):
        own_mD = phrase_PD[start : start + len(labels.phrases[label])]
        start += len(own_mD)
        rows.append(augmented_embedding(name_D, own_mD, k))
    return np.stack(rows)


def augmented_embedding(
    label_D: NDArray[np.floating], phrase_mD: NDArray[np.floating], k: int
) -> NDArray[np.float32]:
    """Integrate a label with its k nearest phrases: the normalised mean of the k + 1 directions."""
    chosen_kD = phrase_mD[nearest_phrases(label_D, phrase_mD, k)]
    return _unit(_unit(np.concatenate([label_D[None], chosen_kD])).mean(0))


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    rows = rows.astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
