"""Checkpoints of imported features: whether CLIP can make such features of a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.encoders.clip import find_clip_width
from exvad.laam.run_labels import IMPORTED_ORIGIN
from exvad.modeling.exvad import ExVAD

if TYPE_CHECKING:
    from exvad.checkpoints.checkpoint import Checkpoint


def check_encoder_fits(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint of imported features that CLIP can't make, before CLIP is looked for.

    Args:
        checkpoint: the trained detector.

    Raises:
        ValueError: the model in `clip.model` gives features of another width.
    """
    if checkpoint.labels.origin != IMPORTED_ORIGIN:
        return
    model = checkpoint.config.clip.model
    clip_width, width = find_clip_width(model), _visual_width(checkpoint)
    if clip_width not in (None, width):
        raise ValueError(
            f"this checkpoint was trained on imported features {width} wide, and clip.model="
            f"{model} makes {clip_width} of an image, so it can't analyze videos: import features "
            "of these too and run `exvad evaluate`, or train on features of `exvad preprocess`"
        )


def _visual_width(checkpoint: Checkpoint) -> int:
    if isinstance(checkpoint.network, ExVAD):
        return checkpoint.network.visual_width
    system = checkpoint.system
    width = 0 if system is None else system.visual_width
    return width or int(checkpoint.label_CD.shape[1])
