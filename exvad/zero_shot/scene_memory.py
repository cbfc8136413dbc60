"""The memory of scenes: short descriptions of normal scenes and of incidents."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exvad.config.addresses import shown_address
from exvad.data.storage.packaged import read_packaged

NORMAL = "Normal"
MAX_SCENE = 300  # characters

Scene = Annotated[str, Field(min_length=1, max_length=MAX_SCENE)]
Scenes = Annotated[list[Scene], Field(min_length=1)]


class LabeledScene(NamedTuple):
    """A scene with its class.

    Args:
        text: the description.
        label: index of the class; 0 is the normal one.
    """

    text: str
    label: int


class SceneMemory(BaseModel):
    """Descriptions of scenes, normal ones by place and incidents by kind, and their origin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    normal: dict[str, Scenes] = Field(min_length=1, description="place or group → normal scenes")
    incidents: dict[str, Scenes] = Field(min_length=1, description="kind of incident → scenes")
    origin: str = Field(min_length=1, description="who or what wrote the scenes")

    @model_validator(mode="after")
    def _scenes_are_distinct(self) -> SceneMemory:
        if NORMAL in self.incidents:
            raise ValueError(f"no kind of incident may be called {NORMAL!r}")
        seen: set[str] = set()
        for scene in self.scenes():
            key = scene_key(scene.text)
            if not key:
                raise ValueError("a scene is blank")
            if key in seen:
                raise ValueError(f"the scene {scene.text!r} is there twice")
            seen.add(key)
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the normal class first."""
        return (NORMAL, *self.incidents)

    def scenes(self) -> Iterator[LabeledScene]:
        """Yield every scene with its class, the normal ones first."""
        for texts in self.normal.values():
            yield from (LabeledScene(text, 0) for text in texts)
        for label, texts in enumerate(self.incidents.values(), 1):
            yield from (LabeledScene(text, label) for text in texts)

    @classmethod
    def read(cls, path: str | Path) -> SceneMemory:
        """Read a memory.

        Args:
            path: a JSON file, its URI, or `package:NAME` for a memory that ships with exvad.

        Raises:
            ValueError: the file does not exist or holds no memory.
        """
        name = shown_address(str(path))
        try:
            return cls.model_validate_json(read_packaged(path, "memory").removeprefix(BOM_UTF8))
        except FileNotFoundError:
            raise ValueError(
                f"no memory {name}: `exvad memory build` writes one; package:scenes ships with "
                "exvad"
            ) from None
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise ValueError(
                f"{name} is no memory of scenes: {where + ': ' if where else ''}{problem['msg']}"
            ) from None

    def extended(
        self, normal: Sequence[str] = (), look_for: Mapping[str, Sequence[str]] | None = None
    ) -> SceneMemory:
        """Return the memory with scenes of one camera or request.

        Args:
            normal: further normal scenes. One that is described as an incident becomes normal.
            look_for: kind of incident → scenes. A kind that exists gets further scenes; a scene
                that is described elsewhere moves there.

        Raises:
            ValueError: a kind has no name or no scenes, or a scene is blank or too long.
        """
        look_for = look_for or {}
        added = further_scenes(normal, look_for)
        if any(not text.strip() for text in added):
            raise ValueError("a scene of normal or look_for is blank: describe it in a few words")
        moved = {scene_key(text) for text in added}
        places = {place: _without(texts, moved) for place, texts in self.normal.items()}
        kinds = {kind: _without(texts, moved) for kind, texts in self.incidents.items()}
        if normal:
            places["this camera"] = [*places.get("this camera", []), *_distinct(normal)]
        for kind, texts in look_for.items():
            if not kind.strip() or kind == NORMAL or not texts:
                raise ValueError(
                    f"look_for {kind!r}: give a name other than {NORMAL!r} and at least one scene"
                )
            kinds[kind] = [*kinds.get(kind, []), *_distinct(texts)]
        try:
            return SceneMemory(
                normal={place: texts for place, texts in places.items() if texts},
                incidents={kind: texts for kind, texts in kinds.items() if texts},
                origin=self.origin,
            )
        except ValidationError as error:
            raise ValueError(f"normal and look_for: {error.errors()[0]['msg']}") from None


def _without(texts: Sequence[str], moved: set[str]) -> list[str]:
    return [text for text in texts if scene_key(text) not in moved]


def _distinct(texts: Sequence[str]) -> list[str]:
    return list({scene_key(text): text.strip() for text in texts}.values())


def further_scenes(normal: Sequence[str], look_for: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the scenes of one camera or request, the normal ones first."""
    return [*normal, *(text for texts in look_for.values() for text in texts)]


def scene_key(text: str) -> str:
    """Return what two texts of the same scene have in common: case and outer blanks don't count."""
    return text.casefold().strip()
