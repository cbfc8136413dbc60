"""The work of `exvad memory`: write a memory of scenes, or print what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from exvad.data.atomic import write_text_atomic
from exvad.data.storage.claims import claimed_file
from exvad.data.storage.writable import check_new_file
from exvad.encoders.loading import load_llm
from exvad.zero_shot.draft import MemoryDraft
from exvad.zero_shot.scene_memory import SceneMemory
from exvad.zero_shot.writing import answer_tokens, write_memory

if TYPE_CHECKING:
    from exvad.config import Config

SHIPPED = "package:scenes"
PARTIAL = ".partial"  # suffix of the file of a memory that is not complete


def build_memory(
    config: Config, output: Path, kinds: Sequence[str], places: Sequence[str], count: int
) -> int:
    """Write a memory with the language model of a configuration.

    Args:
        config: its section `llm` names the model.
        output: the file to write.
        kinds: kinds of incident; empty for those of the memory that ships with exvad.
        places: places with normal scenes; empty for those of that memory.
        count: scenes per kind and place.

    Returns:
        The exit code.

    Raises:
        ValueError: the file can't be written, another process writes it, or the model wrote too
            few scenes. Those that it wrote are in a file beside the output, from which the same
            command goes on.
    """
    check_new_file(output, "--output")
    with claimed_file(output, "exvad memory build"):
        memory = _write_memory(config, output, kinds, places, count)
    Console(highlight=False).print(
        f"{output}: {sum(1 for _ in memory.scenes())} scenes; "
        f"exvad analyze VIDEO --memory {output} uses them",
        soft_wrap=True,
        markup=False,
    )
    return 0


def _write_memory(
    config: Config, output: Path, kinds: Sequence[str], places: Sequence[str], count: int
) -> SceneMemory:
    """Write and return a memory; see `build_memory`."""
    shipped = SceneMemory.read(SHIPPED)
    partial = output.with_name(output.name + PARTIAL)
    draft = MemoryDraft.read(partial)
    try:
        memory = write_memory(
            load_llm(config, answer_tokens()),
            list(kinds) or list(shipped.incidents),
            list(places) or list(shipped.normal),
            count,
            f"written by {config.llm.model}",
            draft,
            lambda draft: draft.write(partial),
        )
    except ValueError as error:
        if not partial.exists():
            raise
        raise ValueError(
            f"{error}; what is written is kept in {partial}, and the same command asks for what is "
            "missing"
        ) from None
    write_text_atomic(output, memory.model_dump_json(indent=1) + "\n")
    partial.unlink(missing_ok=True)
    return memory


def show_memory(path: str) -> int:
    """Print the kinds, the places and the numbers of scenes of a memory; return the exit code.

    Args:
        path: the memory; see `SceneMemory.read`.

    Raises:
        ValueError: there is no such memory.
    """
    memory = SceneMemory.read(path)
    output = Console(highlight=False)
    for title, groups in (("incidents", memory.incidents), ("normal", memory.normal)):
        output.print(f"[bold]{title}[/]  {sum(map(len, groups.values()))}")
        for name, scenes in groups.items():
            output.print(f"  {len(scenes):4}  {name}: {scenes[0]}", markup=False, soft_wrap=True)
    output.print(f"origin: {memory.origin}", style="dim", markup=False, soft_wrap=True)
    return 0
