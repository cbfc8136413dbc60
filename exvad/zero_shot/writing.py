"""A memory of scenes that a language model writes, once and without any video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from exvad.aegm.prompts import Prompt, load_prompt
from exvad.laam.phrases import parse_phrases, phrase_prompt
from exvad.zero_shot.draft import MemoryDraft
from exvad.zero_shot.scene_memory import MAX_SCENE, NORMAL, SceneMemory, scene_key

if TYPE_CHECKING:
    from exvad.encoders.protocols import LanguageModel

PER_ANSWER = 20  # scenes asked for at once: models repeat themselves in longer lists
TOKENS_PER_SCENE = 30
PER_SAVE = 16  # answers at once: so many are lost in an interruption
ROUNDS = 8  # answers per subject at most, for every 20 scenes


def write_memory(
    llm: LanguageModel,
    kinds: Sequence[str],
    places: Sequence[str],
    count: int,
    origin: str,
    draft: MemoryDraft | None = None,
    save: Callable[[MemoryDraft], None] | None = None,
) -> SceneMemory:
    """Let a language model write a memory.

    Args:
        llm: the model; its answers need `answer_tokens()` tokens.
        kinds: kinds of incident.
        places: places with normal scenes.
        count: scenes per kind and place.
        origin: who wrote it, for the file.
        draft: scenes that there are already, and that are not asked for again; it gets the new
            ones.
        save: called with the draft after new answers.

    Raises:
        ValueError: the model wrote fewer distinct scenes than asked for, or nothing is asked for.
    """
    if count < 1:
        raise ValueError(f"{count} scenes per kind: ask for at least 1")
    if not all(name.strip() for name in (*kinds, *places)):
        raise ValueError("a kind of incident or a place has no name: give each one a name")
    for name in (*kinds, *places):
        if name.encode("utf-8", "ignore").decode() != name:
            raise ValueError(f"{name!a} is no text in UTF-8, and no file can hold it")
    if NORMAL in kinds:
        raise ValueError(f"no kind of incident may be called {NORMAL!r}: give it another name")
    draft = draft or MemoryDraft()
    kinds, places = list(dict.fromkeys(kinds)), list(dict.fromkeys(places))
    writer = _SceneWriter(llm, count, origin, draft, save)
    writer.write(draft.incidents, kinds, load_prompt("zero_shot/scenes_incident"))
    writer.write(draft.normal, places, load_prompt("zero_shot/scenes_normal"))
    if writer.missing:
        reason = writer.defect or "ask for fewer, or choose another model"
        raise ValueError(
            f"the language model wrote fewer than {count} distinct scenes for "
            f"{', '.join(writer.missing)}: {reason}"
        )
    return SceneMemory(
        normal={place: draft.normal[place][:count] for place in places},
        incidents={kind: draft.incidents[kind][:count] for kind in kinds},
        origin="; ".join(draft.origins),
    )


def answer_tokens() -> int:
    """Return the length of an answer with as many scenes as are asked for at once, in tokens."""
    return PER_ANSWER * TOKENS_PER_SCENE


class _SceneWriter:
    """Asks a language model for the scenes that a draft lacks.

    Args:
        llm: the model.
        count: scenes per subject.
        origin: the name of the model in the draft.
        draft: gets the scenes.
        save: called with the draft after new answers.

    Attributes:
        missing: the subjects that came out short, with the number of their scenes.
        defect: what was wrong with an answer about one of them; empty if nothing was.
    """

    def __init__(
        self,
        llm: LanguageModel,
        count: int,
        origin: str,
        draft: MemoryDraft,
        save: Callable[[MemoryDraft], None] | None,
    ) -> None:
        self.missing: list[str] = []
        self.defect = ""
        self._llm, self._count, self._origin = llm, count, origin
        self._draft, self._save = draft, save
        groups = (*draft.incidents.values(), *draft.normal.values())
        self._taken = {
            scene_key(scene) for scenes in groups for scene in scenes
        }  # each stands once

    def write(self, scenes: dict[str, list[str]], subjects: Sequence[str], prompt: Prompt) -> None:
        """Fill subject → scenes, in as many answers as that takes, within a limit."""
        for subject in subjects:
            scenes.setdefault(subject, [])
        defects: dict[str, str] = {}
        for _ in range(ROUNDS * -(-self._count // PER_ANSWER)):
            incomplete = [subject for subject in subjects if len(scenes[subject]) < self._count]
            for start in range(0, len(incomplete), PER_SAVE):
                self._ask(scenes, incomplete[start : start + PER_SAVE], prompt, defects)
        for subject in subjects:
            if len(scenes[subject]) < self._count:
                self.missing.append(f"{subject} ({len(scenes[subject])})")
                self.defect = self.defect or defects.get(subject, "")

    def _ask(
        self,
        scenes: dict[str, list[str]],
        subjects: Sequence[str],
        prompt: Prompt,
        defects: dict[str, str],
    ) -> None:
        prompts = [phrase_prompt(prompt, subject, PER_ANSWER) for subject in subjects]
        for subject, answer in zip(subjects, self._llm.complete(prompts), strict=True):
            parsed = parse_phrases(answer.text)
            defects[subject] = answer.describe_defect("the limit for a list of scenes")
            # The last scene of an answer that was cut off is only the beginning of one.
            for text in parsed[:-1] if answer.cut_off_at else parsed:
                is_new = text.strip() and scene_key(text) not in self._taken
                if is_new and len(text) <= MAX_SCENE and len(scenes[subject]) < self._count:
                    self._taken.add(scene_key(text))
                    scenes[subject].append(text.strip())
        if self._origin not in self._draft.origins:
            self._draft.origins.append(self._origin)
        if self._save is not None:
            self._save(self._draft)
