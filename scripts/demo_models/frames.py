"""Frames of the demo world with their true captions, rendered in parallel.

N frames · H, W pixels · G grid cells per side
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exvad.data.world.activities import ACTIVITIES, CLASSES, NORMAL
from exvad.data.world.paint import CLOTHES
from exvad.data.world.scene import Scene

SIDE = 96
CELLS = 24
PER_SCENE = 5
NO_COLOR = -100
ACTIVITY_NAMES = tuple(ACTIVITIES)
COLORS = tuple(CLOTHES)
ARRAYS = ("images", "masks", "activities", "colors")


@dataclass(frozen=True)
class Frames:
    """Frames of the demo world with their ground truth.

    Args:
        images: uint8 [N, 96, 96, 3].
        masks: bool [N, 24, 24], the grid cells that contain the action.
        activities: int [N], index into ACTIVITY_NAMES.
        colors: int [N, 2], index into COLORS of the colours in the caption; NO_COLOR if it has
            fewer than two.
        captions: the true captions.
        labels: the classes.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    activities: NDArray[np.int64]
    colors: NDArray[np.int64]
    captions: list[str]
    labels: list[str]

    def sample(self, rng: np.random.Generator, count: int) -> NDArray[np.intp]:
        """Draw indices of frames to train on; rare activities are drawn above their share."""
        indices: NDArray[np.intp] = np.searchsorted(
            self._cumulative_weights,
            rng.random(count) * self._cumulative_weights[-1],
            side="right",
        )
        return indices

    @cached_property
    def _cumulative_weights(self) -> NDArray[np.float64]:
        counts = np.bincount(self.activities, minlength=len(ACTIVITY_NAMES))[self.activities]
        cumulative: NDArray[np.float64] = np.cumsum(1 / np.sqrt(counts))
        return cumulative


Row = tuple[NDArray[np.uint8], NDArray[np.bool_], int, list[int], str, str]


def scene_label(seed: int) -> str:
    """Return the class of a scene: every second one is abnormal, the classes in turn."""
    return NORMAL if seed % 2 else CLASSES[1 + seed // 2 % (len(CLASSES) - 1)]


def render_scene(seed: int) -> list[Row]:
    """Render a few frames of one scene; of an abnormal scene most frames show the anomaly."""
    scene = Scene(seed, scene_label(seed))
    rng = np.random.default_rng([seed, 31])
    frames = list(rng.integers(0, scene.num_frames, PER_SCENE - 3 * bool(scene.events)))
    for start, end, _ in scene.events:
        frames += list(rng.integers(start, end, 3))
    return [_render_row(scene, int(frame)) for frame in frames]


def _render_row(scene: Scene, frame: int) -> Row:
    image = Image.fromarray(scene.render(frame))
    small_HWC = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    mask = Image.fromarray(scene.action_mask(frame).astype(np.uint8) * 255)
    cells_GG = np.asarray(mask.resize((CELLS, CELLS), Image.Resampling.BOX)) > 40
    activity = scene.segment(frame).activity
    caption = scene.caption(frame)
    colors = [COLORS.index(word) for word in caption.split() if word in COLORS]
    activity_index = list(ACTIVITIES.values()).index(activity)
    two_colors = [*colors, NO_COLOR, NO_COLOR][:2]
    return small_HWC, cells_GG, activity_index, two_colors, caption, activity.label


def save_frames(frames: Frames, folder: Path) -> None:
    """Write frames into a new folder, so that several processes can share them."""
    folder.mkdir()
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(frames, name))
    texts = {"captions": frames.captions, "labels": frames.labels}
    (folder / "texts.json").write_text(json.dumps(texts))


def load_frames(folder: Path) -> Frames:
    """Read frames that `save_frames` wrote; the arrays are memory-mapped."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return Frames(**arrays, **json.loads((folder / "texts.json").read_text()))


def render_frames(scene_seeds: Sequence[int], workers: int = 2) -> Frames:
    """Render the frames of many scenes.

    Args:
        scene_seeds: the seed of each scene.
        workers: number of processes.
    """
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for part in pool.map(render_scene, scene_seeds, chunksize=64) for row in part]
    images, masks, activities, colors, captions, labels = zip(*rows, strict=True)
    return Frames(
        np.stack(images),
        np.stack(masks),
        np.array(activities),
        np.array(colors),
        list(captions),
        list(labels),
    )
