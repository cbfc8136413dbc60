"""Frames of the demo world with their true captions, drawn in parallel and kept in memory."""

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
ACTIVITY_NAMES = tuple(ACTIVITIES)
COLORS = tuple(CLOTHES)
ARRAYS = ("pictures", "masks", "activities", "colors")


@dataclass(frozen=True)
class Frames:
    """World frames and all that is known of them.

    Args:
        pictures: uint8 [N, 96, 96, 3].
        masks: bool [N, 24, 24], the cells in which the action is.
        activities: int [N], index into ACTIVITY_NAMES.
        colors: int [N, 2], the colours the caption names, -100 where it names fewer.
        captions: the true captions.
        labels: the classes.
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    activities: NDArray[np.int64]
    colors: NDArray[np.int64]
    captions: list[str]
    labels: list[str]

    def pick(self, rng: np.random.Generator, count: int) -> NDArray[np.intp]:
        """Draw frames to train on; a rare activity comes more often than its share."""
        drawn: NDArray[np.intp] = np.searchsorted(
            self._reach, rng.random(count) * self._reach[-1], side="right"
        )
        return drawn

    @cached_property
    def _reach(self) -> NDArray[np.float64]:
        share = np.bincount(self.activities, minlength=len(ACTIVITY_NAMES))[self.activities]
        reach: NDArray[np.float64] = np.cumsum(1 / np.sqrt(share))
        return reach


Row = tuple[NDArray[np.uint8], NDArray[np.bool_], int, list[int], str, str]


def scene_label(seed: int) -> str:
    """Give every second scene an anomaly, the classes in turn."""
    return NORMAL if seed % 2 else CLASSES[1 + seed // 2 % (len(CLASSES) - 1)]


def draw_scene(seed: int) -> list[Row]:
    """Draw a few frames of one scene, most of them within its anomaly if it has one."""
    scene = Scene(seed, scene_label(seed))
    rng = np.random.default_rng([seed, 31])
    frames = list(rng.integers(0, scene.num_frames, PER_SCENE - 3 * bool(scene.events)))
    for start, end, _ in scene.events:
        frames += list(rng.integers(start, end, 3))
    return [_describe(scene, int(frame)) for frame in frames]


def _describe(scene: Scene, frame: int) -> Row:
    picture = Image.fromarray(scene.render(frame))
    small_HWC = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    mask = Image.fromarray(scene.action_mask(frame).astype(np.uint8) * 255)
    cells_GG = np.asarray(mask.resize((CELLS, CELLS), Image.Resampling.BOX)) > 40
    activity = scene.segment(frame).activity
    caption = scene.caption(frame)
    colors = [COLORS.index(word) for word in caption.split() if word in COLORS]
    number = list(ACTIVITIES.values()).index(activity)
    return small_HWC, cells_GG, number, [*colors, -100, -100][:2], caption, activity.label


def save(frames: Frames, folder: Path) -> None:
    """Write frames into a new folder, for several processes to share."""
    folder.mkdir()
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(frames, name))
    texts = {"captions": frames.captions, "labels": frames.labels}
    (folder / "texts.json").write_text(json.dumps(texts))


def load(folder: Path) -> Frames:
    """Read frames that `save` wrote; the arrays stay on disk until they are used."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return Frames(**arrays, **json.loads((folder / "texts.json").read_text()))


def draw(scene_seeds: Sequence[int], workers: int = 2) -> Frames:
    """Draw the frames of many scenes."""
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for part in pool.map(draw_scene, scene_seeds, chunksize=64) for row in part]
    pictures, masks, activities, colors, captions, labels = zip(*rows, strict=True)
    return Frames(
        np.stack(pictures),
        np.stack(masks),
        np.array(activities),
        np.array(colors),
        list(captions),
        list(labels),
    )
