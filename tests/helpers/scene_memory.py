"""A memory of two scenes."""

from __future__ import annotations

from pathlib import Path

from exvad.zero_shot.scene_memory import SceneMemory


def write_fire_memory(path: Path) -> None:
    """Write a memory with a yard, which is normal, and a fire."""
    memory = SceneMemory(normal={"yard": ["a yard"]}, incidents={"Fire": ["fire"]}, origin="test")
    path.write_text(memory.model_dump_json())
