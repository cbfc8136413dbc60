"""Text features of a memory of scenes, computed once per CLIP and kept in a cache folder.

M scenes · D feature width
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exvad.data.atomic import atomic_file
from exvad.data.storage.homes import expand_home
from exvad.encoders.vectors import MIN_LENGTH, unit_vectors
from exvad.zero_shot.scene_memory import LabeledScene, further_scenes, scene_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import ImageTextEncoder
    from exvad.zero_shot.scene_memory import SceneMemory

PROBES = ("a person walks along a street", "two people fight", "a car burns")
# Two runs of one model differ by less than this; two models differ by more in some number.
PROBE_DIGITS = 2


@dataclass(frozen=True, eq=False)
class EncodedMemory:
    """A memory of scenes with its text features.

    Args:
        classes: class names, the normal one first.
        texts: the M scenes.
        label_M: index of each scene's class; 0 is normal.
        scene_MD: unit features of the scenes.
        own_M: whether a scene is one of the user's, of the settings or of a request.
    """

    classes: tuple[str, ...]
    texts: tuple[str, ...]
    label_M: NDArray[np.int64]
    scene_MD: NDArray[np.float32]
    own_M: NDArray[np.bool_]


def encode_memory(
    memory: SceneMemory,
    clip: ImageTextEncoder,
    config: Config,
    cache: Path | None = None,
    encoded: EncodedMemory | None = None,
) -> EncodedMemory:
    """Encode a memory of scenes.

    Normal scenes and incidents stand in different prompts, which moves the two groups apart
    (Flashback's repulsive prompting). The settings' `normal` and `look_for` are added to the
    memory. The user has said on which side they stand, so no prompt has to move them there: both
    stand in the prompt of incidents, and what a frame shows decides between them.

    Args:
        memory: the memory.
        clip: the text encoder.
        config: its section `zero_shot` has the prompts and the further scenes.
        cache: folder that keeps the features of a memory; None for `cache_folder()`.
        encoded: the same memory with other further scenes, by the same CLIP and in the same
            prompts; then only what it lacks is encoded, and no cache is read.

    Raises:
        ValueError: the further scenes can't be added; see `SceneMemory.extended`.
    """
    settings = config.zero_shot
    extended = memory.extended(settings.normal, settings.look_for)
    prompts = (settings.normal_prompt, settings.incident_prompt)

    own = {scene_key(text) for text in further_scenes(settings.normal, settings.look_for)}

    def prompted(scenes: Iterable[LabeledScene], own: Collection[str] = ()) -> list[str]:
        return [
            prompts[scene.label > 0 or scene_key(scene.text) in own].replace("{}", scene.text)
            for scene in scenes
        ]

    if encoded is None:
        # The cache holds the memory as it is: the few scenes of a camera are encoded anew.
        stored = prompted(memory.scenes())
        stored_MD = _cached_features(stored, clip, cache or cache_folder())
    else:
        known = {scene_key(text) for text in np.array(encoded.texts)[encoded.own_M].tolist()}
        stored = prompted(map(LabeledScene, encoded.texts, encoded.label_M.tolist()), known)
        stored_MD = encoded.scene_MD
    features = dict(zip(stored, stored_MD, strict=True))
    scenes = list(extended.scenes())
    texts = prompted(scenes, own)
    added = [text for text in texts if text not in features]
    if added:
        features |= zip(added, clip.encode_texts(added), strict=True)
    return EncodedMemory(
        extended.classes,
        tuple(scene.text for scene in scenes),
        np.array([scene.label for scene in scenes]),
        unit_vectors(np.stack([features[text] for text in texts]), MIN_LENGTH),
        np.array([scene_key(scene.text) in own for scene in scenes]),
    )


def cache_folder() -> Path | None:
    """Return the user's folder for encoded memories, below $XDG_CACHE_HOME or ~/.cache.

    Returns:
        None for a user without a home folder, as in some containers.
    """
    base = expand_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return base / "exvad" / "memory" if base.is_absolute() else None


def _cached_features(
    texts: Sequence[str], clip: ImageTextEncoder, folder: Path | None
) -> NDArray[np.float32]:
    """Return the features of texts, read from the cache if they were encoded by the same CLIP."""
    if folder is None:
        return clip.encode_texts(texts)
    probe = np.round(unit_vectors(clip.encode_texts(PROBES), MIN_LENGTH), PROBE_DIGITS)
    content = json.dumps(list(texts)).encode() + (probe + 0.0).astype(np.float32).tobytes()
    path = folder / f"{hashlib.sha256(content).hexdigest()}.npy"
    try:
        stored: NDArray[np.float32] = np.load(path, allow_pickle=False).astype(np.float32)
        if stored.shape == (len(texts), probe.shape[1]):
            return stored
    except (OSError, ValueError, EOFError):  # It is not there, or it is damaged and replaced.
        pass
    features = clip.encode_texts(texts)
    try:
        with atomic_file(path) as file:
            np.save(file, features.astype(np.float16))
    except OSError:
        # A read-only or full disk costs time at the next start, and no answer.
        return features
    return features
