"""Frames of the demo world with their true captions, drawn in parallel and kept in memory."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

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


def draw(scene_seeds: range, workers: int = 2) -> Frames:
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
