"""A memory of scenes that a language model writes, once and without any video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exvad.aegm.prompts import Prompt, load_prompt
from exvad.laam.phrases import parse_phrases, phrase_prompt
from exvad.zero_shot.memory import MAX_SCENE, NORMAL, SceneMemory

if TYPE_CHECKING:
    from exvad.encoders.protocols import LanguageModel

PER_ANSWER = 20  # scenes asked for at once: models repeat themselves in longer lists
TOKENS_PER_SCENE = 30
ROUNDS = 8  # answers per subject at most, for every 20 scenes


def write_memory(
    llm: LanguageModel,
    kinds: Sequence[str],
    places: Sequence[str],
    count: int,
    origin: str,
) -> SceneMemory:
    """Let a language model write a memory.

    Args:
        llm: the model; its answers need `answer_tokens()` tokens.
        kinds: kinds of incident.
        places: places with normal scenes.
        count: scenes per kind and place.
        origin: who wrote it, for the file.

    Raises:
        ValueError: the model wrote fewer distinct scenes than asked for, or nothing is asked for.
    """
    if count < 1:
        raise ValueError(f"{count} scenes per kind: ask for at least 1")
    if not all(name.strip() for name in (*kinds, *places)):
        raise ValueError("a kind of incident or a place has no name: give each one a name")
    if NORMAL in kinds:
        raise ValueError(f"no kind of incident may be called {NORMAL!r}: give it another name")
    taken: set[str] = set()  # a scene stands in a memory once
    incidents = _write(
        llm, list(dict.fromkeys(kinds)), load_prompt("zero_shot/scenes_incident"), count, taken
    )
    normal = _write(
        llm, list(dict.fromkeys(places)), load_prompt("zero_shot/scenes_normal"), count, taken
    )
    return SceneMemory(normal=normal, incidents=incidents, origin=origin)


def answer_tokens() -> int:
    """Return the length of an answer with as many scenes as are asked for at once, in tokens."""
    return PER_ANSWER * TOKENS_PER_SCENE


def _write(
    llm: LanguageModel, subjects: Sequence[str], prompt: Prompt, count: int, taken: set[str]
) -> dict[str, list[str]]:
    """Return subject → scenes; `taken` has the scenes so far, and gets the new ones."""
    scenes: dict[str, list[str]] = {subject: [] for subject in subjects}
    defects: dict[str, str] = {}
    for _ in range(ROUNDS * -(-count // PER_ANSWER)):
        incomplete = [subject for subject in subjects if len(scenes[subject]) < count]
        if not incomplete:
            break
        prompts = [phrase_prompt(prompt, subject, PER_ANSWER) for subject in incomplete]
        for subject, answer in zip(incomplete, llm.complete(prompts), strict=True):
            parsed = parse_phrases(answer.text)
            defects[subject] = answer.describe_defect("the limit for a list of scenes")
            # The last scene of an answer that was cut off is only the beginning of one.
            for text in parsed[:-1] if answer.cut_off_at else parsed:
                key = text.casefold().strip()
                if key not in taken and len(text) <= MAX_SCENE and len(scenes[subject]) < count:
                    taken.add(key)
                    scenes[subject].append(text.strip())
    short = [f"{name} ({len(texts)})" for name, texts in scenes.items() if len(texts) < count]
    if short:
        reason = next(filter(None, defects.values()), "ask for fewer, or choose another model")
        raise ValueError(
            f"the language model wrote fewer than {count} distinct scenes for {', '.join(short)}: "
            f"{reason}"
        )
    return scenes
