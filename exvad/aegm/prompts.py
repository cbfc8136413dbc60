"""Prompt templates: P_S of the explanation (equation 3) and the prompt for label phrases.

A template is a text file. Its name and its hash are part of the fingerprint of its outputs. P_C of
the captioner needs no template: `captioner.prompt` of the configuration is its text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.data.storage.homes import expand_home

if TYPE_CHECKING:
    from exvad.config import Config


@dataclass(frozen=True)
class Prompt:
    """A prompt template with `{named}` placeholders.

    Args:
        name: the name of a packaged template, or the path of a file.
        text: the template.
    """

    name: str
    text: str

    @property
    def identity(self) -> str:
        """File name and content hash, for fingerprints."""
        return f"{Path(self.name).name}@{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"

    def fill(self, **values: object) -> str:
        """Return the prompt with a value in place of each placeholder.

        Raises:
            ValueError: the template has a placeholder without a value, or an unmatched brace.
        """
        try:
            return self.text.format(**values)
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            known = ", ".join(f"{{{name}}}" for name in values)
            problem = "unknown" if isinstance(error, LookupError) else "broken"
            raise ValueError(
                f"prompt {self.name}: {problem} placeholder ({error}); it can use {known}. "
                "Write literal braces as {{ and }}."
            ) from None


def load_prompt(name: str) -> Prompt:
    """Load a packaged template by its name, or a text file by its path.

    Args:
        name: `explanation`, `explanation_demo`, `phrases`, `phrases_demo`, a path, or the name of a
            file and its text, as `with_prompt_text` writes them.

    Raises:
        ValueError: there is neither such a template nor such a file, or the file is not UTF-8 text.
    """
    if "\n" in name:
        file, _, text = name.partition("\n")
        return Prompt(file, text)
    packaged = _packaged_folder() / f"{name}.txt"
    if packaged.is_file():
        return Prompt(name, packaged.read_text(encoding="utf-8").strip("\n"))
    path = expand_home(name)
    if path.is_file():
        try:
            return Prompt(str(path), path.read_text(encoding="utf-8").strip("\n"))
        except UnicodeDecodeError as error:
            raise ValueError(f"prompt {path} is not UTF-8 text ({error})") from None
    packaged_names = sorted(
        entry.name.removesuffix(".txt")
        for entry in _packaged_folder().iterdir()
        if entry.name.endswith(".txt")
    )
    raise ValueError(
        f"no prompt {name!r}: give the path of a text file or one of {', '.join(packaged_names)}"
    )


def with_prompt_text(config: Config) -> Config:
    """Return a configuration whose `llm.prompt` holds the text, if it names a file.

    Other machines, working folders and later days have no such file, or another one. The text is
    the file's name, a line break and the content; `load_prompt` reads it with the same identity.

    Args:
        config: the configuration.

    Raises:
        ValueError: there is no such prompt.
    """
    name = config.llm.prompt
    if "\n" in name:
        return config  # it is the text already
    if (_packaged_folder() / f"{name}.txt").is_file():
        return config
    prompt = load_prompt(name)
    text = f"{Path(prompt.name).name}\n{prompt.text}"
    return config.model_copy(update={"llm": config.llm.model_copy(update={"prompt": text})})


def _packaged_folder() -> Traversable:
    return resources.files("exvad") / "assets" / "prompts"
