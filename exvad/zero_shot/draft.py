"""A memory in the making: what a language model has written so far, to go on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exvad.data.atomic import write_text_atomic
from exvad.zero_shot.scene_memory import Scene, scene_key


class MemoryDraft(BaseModel):
    """The scenes of a memory that is not complete; a subject may have few of them or none."""

    model_config = ConfigDict(extra="forbid")

    normal: dict[str, list[Scene]] = Field({}, description="place → normal scenes")
    incidents: dict[str, list[Scene]] = Field({}, description="kind of incident → scenes")
    origins: list[str] = Field([], description="who wrote the scenes")

    @model_validator(mode="after")
    def _keep_each_scene_once(self) -> Self:
        """Drop blank and repeated scenes of a file that was edited: no memory can have them."""
        taken = {""}
        for scenes in (*self.incidents.values(), *self.normal.values()):
            new = {scene_key(scene): scene for scene in reversed(scenes)}
            scenes[:] = [scene for key, scene in reversed(new.items()) if key not in taken]
            taken |= new.keys()
        return self

    @classmethod
    def read(cls, path: Path) -> MemoryDraft:
        """Read a draft; an empty one if the file does not exist.

        Args:
            path: a JSON file.

        Raises:
            ValueError: the file holds no draft.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError:
            raise ValueError(
                f"{path} is no draft of a memory: delete it to begin anew, or name another --output"
            ) from None

    def write(self, path: Path) -> None:
        """Write the draft to a JSON file."""
        write_text_atomic(path, self.model_dump_json(indent=1) + "\n")
