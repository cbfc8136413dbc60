"""Prompts: P_C for the captioner, P_S for the explanation, and the one that asks for label phrases.

A prompt is a text file; its name and its hash go into the fingerprint of whatever it produced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path


@dataclass(frozen=True)
class Prompt:
    """A prompt template with `{named}` blanks.

    Args:
        name: the packaged file's name, or the path it was read from.
        text: the template.
    """

    name: str
    text: str

    @property
    def identity(self) -> str:
        """Name and content hash, for fingerprints."""
        return f"{Path(self.name).name}@{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"

    def fill(self, **blanks: object) -> str:
        """Return the prompt with its blanks filled.

        Raises:
            ValueError: the template has a blank that nothing fills, or a lone brace.
        """
        try:
            return self.text.format(**blanks)
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            known = ", ".join(f"{{{name}}}" for name in blanks)
            what = "unknown" if isinstance(error, LookupError) else "broken"
            raise ValueError(
                f"prompt {self.name}: {what} blank ({error}); it can use {known}. "
                "Write literal braces as {{ and }}."
            ) from None


def load_prompt(name: str) -> Prompt:
    """Load a packaged prompt by name, or any text file by its path.

    Args:
        name: `caption`, `explanation`, `explanation_demo`, `phrases`, `phrases_demo`, or a path.

    Raises:
        ValueError: neither such a prompt nor such a file exists, or the file is no text.
    """
    packaged = _packaged() / f"{name}.txt"
    if packaged.is_file():
        return Prompt(name, packaged.read_text(encoding="utf-8").strip("\n"))
    path = Path(name).expanduser()
    if path.is_file():
        try:
            return Prompt(str(path), path.read_text(encoding="utf-8").strip("\n"))
        except UnicodeDecodeError as error:
            raise ValueError(f"prompt {path} is not UTF-8 text ({error})") from None
    ours = sorted(
        entry.name.removesuffix(".txt")
        for entry in _packaged().iterdir()
        if entry.name.endswith(".txt")
    )
    raise ValueError(
        f"no prompt {name!r}: give the path of a text file or one of {', '.join(ours)}"
    )


def _packaged() -> Traversable:
    return resources.files("exvad") / "assets" / "prompts"
