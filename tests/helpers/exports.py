"""Checkpoints of planted features with any network, and the answers of an exported one to them.

T snippets · C classes · D feature width
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from exvad.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from exvad.export.runtimes import Run
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.store.examples import Example, collate
from exvad.store.grounding import text_width
from exvad.store.schema import TextKind
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

LABELS = LabelPhrases(phrases={label: [label] * 4 for label in CLASSES}, origin="test")


def save_planted_checkpoint(folder: Path, *overrides: str) -> Checkpoint:
    """Save a checkpoint in which every weight is random, also those that start at 0; return it.

    Args:
        folder: the folder of the checkpoint.
        overrides: of the configuration of planted features.
    """
    settings = config(*overrides)
    torch.manual_seed(0)
    network = build_network(settings, WIDTH, len(CLASSES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    calibration = Calibration(branch="alignment", threshold=0.25, slope=2.0, offset=-0.5)
    label_CD = torch.from_numpy(directions())
    save_checkpoint(
        folder, Checkpoint(network, label_CD, LABELS, settings, calibration, {}, {"seed": 0})
    )
    return load_checkpoint(folder)


def planted_clips(text: TextKind, lengths: list[int]) -> list[Example]:
    """Return one clip of each length, with random text features.

    Args:
        text: the kind of text.
        lengths: T of each clip.
    """
    rng = np.random.default_rng(1)
    clips = []
    for length in lengths:
        (clip,) = examples(1, seed=length, lengths=(length, length))
        width = text_width(text, WIDTH)
        shape = (width,) if text == "explanation" else (length, width)
        text_features = rng.normal(size=shape).astype(np.float32)
        clips.append(replace(clip, text=None if text == "none" else text_features))
    return clips


def head_answers(run: Run, clips: list[Example]) -> list[dict[str, NDArray[np.float32]]]:
    """Return the outputs of an exported network for clips, which are padded to one batch."""
    batch = collate(clips)
    inputs = {"visual": batch.visual_BTD.numpy(), "lengths": batch.lengths_B.numpy()}
    if batch.text is not None:
        inputs["text"] = batch.text.numpy()
    outputs = run(inputs)
    return [
        {name: array[row, : len(clip.visual_TD)] for name, array in outputs.items()}
        for row, clip in enumerate(clips)
    ]
