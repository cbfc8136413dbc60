"""Checkpoints of untrained networks, for tests that need a detector but no accuracy."""

from __future__ import annotations

from pathlib import Path

import torch

from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.config import load_config
from exvad.data.world.activities import CLASSES
from exvad.encoders.loading import load_clip
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.label_vectors import LabelVectors
from exvad.laam.phrases import LabelPhrases

LABELS = LabelPhrases(
    phrases={label: [f"{label} {number}" for number in range(4)] for label in CLASSES},
    origin="test",
)


def save_untrained_checkpoint(folder: Path, *overrides: str) -> Path:
    """Save a checkpoint with random weights and a threshold of 0: every snippet is abnormal.

    Args:
        folder: the folder of the checkpoint.
        overrides: of the demo preset, such as `model.text=none`.

    Returns:
        The folder.
    """
    config = load_config("demo", overrides)
    label_CD = torch.from_numpy(
        LabelVectors.encode(LABELS, load_clip(config)).embeddings("augmented", config.labels.k)
    )
    torch.manual_seed(0)
    network = build_network(config, label_CD.shape[1], len(CLASSES))
    calibration = Calibration(branch="classifier", threshold=0.0)
    save_checkpoint(folder, Checkpoint(network, label_CD, LABELS, config, calibration, {}, {}))
    return folder
