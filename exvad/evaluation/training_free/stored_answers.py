"""Answers of a language model kept in a file, so that a long run continues where it was stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.encoders.answers import Answer

if TYPE_CHECKING:
    from exvad.encoders.protocols import LanguageModel

PROMPTS_AT_ONCE = 64


class StoredAnswers:
    """A language model that asks another one only what it has not been asked before.

    The file has one answer per line. An answer belongs to a prompt and to an identity, so several
    models may share a file. Refusals and unreadable answers are kept as well: delete the file to
    ask again. One process at a time may write to it.

    Args:
        llm: the language model.
        path: the local file; it is made if it is missing.
        identity: the model and the settings that its answers depend on, such as its name and
            maximum length.

    Raises:
        ValueError: the file has a line that is no answer, apart from a last one that a killed
            process did not finish.
    """

    def __init__(self, llm: LanguageModel, path: str | Path, identity: str) -> None:
        self.llm, self.path, self.identity = llm, Path(path), identity
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._answers = self._read()

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt, and keep those that are new."""
        keys = [self._key(prompt) for prompt in prompts]
        new = {
            key: prompt
            for key, prompt in zip(keys, prompts, strict=True)
            if key not in self._answers
        }
        pending = list(new.items())
        for start in range(0, len(pending), PROMPTS_AT_ONCE):
            group = pending[start : start + PROMPTS_AT_ONCE]
            answers = self.llm.complete([prompt for _, prompt in group])
            self._append([key for key, _ in group], answers)
        return [self._answers[key] for key in keys]

    def _key(self, prompt: str) -> str:
        return hashlib.sha256(f"{self.identity}\0{prompt}".encode()).hexdigest()

    def _append(self, keys: Sequence[str], answers: Sequence[Answer]) -> None:
        lines = [
            json.dumps({"key": key, **asdict(answer)}) + "\n"
            for key, answer in zip(keys, answers, strict=True)
        ]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())
        self._answers.update(zip(keys, answers, strict=True))

    def _read(self) -> dict[str, Answer]:
        if not self.path.exists():
            return {}
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            # What a killed process did not finish; the next answer must begin a line.
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        answers = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                fields = json.loads(line)
                key = fields.pop("key")
                answers[key] = Answer(**fields)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"{self.path}, line {number}: no stored answer ({error}); delete the file to "
                    "ask again"
                ) from None
        return answers
