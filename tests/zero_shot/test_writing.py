"""A memory that a language model writes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from exvad.encoders.answers import Answer
from exvad.zero_shot.writing import write_memory


class Writer:
    """A language model that answers with numbered scenes about what a prompt names."""

    def __init__(self, repeats: bool = False) -> None:
        self.repeats, self.calls = repeats, 0

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        self.calls += 1
        turn = 0 if self.repeats else self.calls
        subjects = [prompt.split(": ")[1][:12] for prompt in prompts]
        return [
            Answer(json.dumps([f"{subject} scene {turn}.{n}" for n in range(20)]))
            for subject in subjects
        ]


def test_write_memory_asks_until_every_subject_has_its_scenes() -> None:
    writer = Writer()
    memory = write_memory(writer, ["Fire", "Fall"], ["car park"], 45, "a test")
    assert {kind: len(scenes) for kind, scenes in memory.incidents.items()} == {
        "Fire": 45,
        "Fall": 45,
    }
    assert len(memory.normal["car park"]) == 45
    assert memory.origin == "a test"
    assert writer.calls == 6  # 20 scenes per answer: three rounds of incidents, three of places


def test_write_memory_names_what_is_missing_if_the_model_repeats_itself() -> None:
    with pytest.raises(
        ValueError, match=r"fewer than 45 distinct scenes for Fire \(20\), car park \(20\):"
    ):
        write_memory(Writer(repeats=True), ["Fire"], ["car park"], 45, "a test")
    with pytest.raises(ValueError, match="ask for at least 1"):
        write_memory(Writer(), ["Fire"], ["car park"], 0, "a test")


@pytest.mark.parametrize(
    ("kind", "place", "reason"),
    [
        ("Normal", "car park", "may be called 'Normal'"),
        (" ", "car park", "has no name"),
        ("Fire", "yard \udcff", "no text in UTF-8"),
    ],
)
def test_write_memory_refuses_names_before_it_asks_the_model(
    kind: str, place: str, reason: str
) -> None:
    writer = Writer()
    with pytest.raises(ValueError, match=reason):
        write_memory(writer, [kind], [place], 20, "a test")
    assert writer.calls == 0
