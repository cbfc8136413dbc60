"""A language model that reads the prompts of the systems without training, by simple rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exvad.encoders.answers import Answer

ALARMING = ("flames", "punches", "gun")


class ReadingLLM:
    """Answers by the words that it finds in a prompt, the same at every time.

    - Scenes to sum up: it repeats their lines, each once.
    - Summaries to rate: 0.9 if a word is alarming, else 0.1.
    - Guiding questions: 1 if a word of the scene is alarming and in a question.
    - Questions to improve: it asks for the alarming words in videos that were missed.

    Attributes:
        prompts: all prompts so far.
    """

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the answer to each prompt."""
        self.prompts += prompts
        return [Answer(self.read(prompt)) for prompt in prompts]

    def read(self, prompt: str) -> str:
        """Return the answer to a prompt."""
        if "New questions:" in prompt:
            missed = [case for case in prompt.split("\n\n") if "Decided: 0\nTruth: 1" in case]
            asked = [word for word in ALARMING if any(word in case for case in missed)]
            kept = re.findall(r"^- (.*\?)$", prompt.split("\n\n")[0], re.MULTILINE)
            lines = [*kept, *(f"Are there {word}?" for word in asked)]
            return "They missed some.\nNew questions:\n" + "\n".join(f"1. {line}" for line in lines)
        lines = re.findall(r"^- (.*)$", prompt, re.MULTILINE)
        if "Verdict:" in prompt:
            questions = " ".join(line for line in lines if line.endswith("?"))
            scene = " ".join(line for line in lines if not line.endswith("?"))
            found = [word for word in ALARMING if word in scene and word in questions]
            return f"I see {found or 'nothing'}.\nVerdict: {int(bool(found))}"
        if "How suspicious" in prompt:
            return "[0.9]" if any(word in prompt for word in ALARMING) else "[0.1]"
        return ". ".join(dict.fromkeys(lines)) + "."
