"""Checkpoints of untrained networks, for tests that need a detector but no accuracy."""

from __future__ import annotations

from pathlib import Path

import torch

from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.checkpoints.saved_system import SavedSystem
from exvad.config import Config, load_config
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
    label_CD = _label_embeddings(config)
    torch.manual_seed(0)
    network = build_network(config, label_CD.shape[1], len(CLASSES))
    calibration = Calibration(branch="classifier", threshold=0.0)
    save_checkpoint(folder, Checkpoint(network, label_CD, LABELS, config, calibration, {}, {}))
    return folder


def save_untrained_system(folder: Path, system: SavedSystem) -> Path:
    """Save a checkpoint of a system of the comparison with random weights and a threshold of 0.

    Args:
        folder: the folder of the checkpoint.
        system: the system.

    Returns:
        The folder.
    """
    config = load_config("demo", ["model.text=none"])
    label_CD = _label_embeddings(config)
    torch.manual_seed(0)
    network = system.build(config, label_CD, CLASSES)
    calibration = Calibration(branch="classifier", threshold=0.0)
    checkpoint = Checkpoint(network, label_CD, LABELS, config, calibration, {}, {}, system)
    save_checkpoint(folder, checkpoint)
    return folder


def _label_embeddings(config: Config) -> torch.Tensor:
    vectors = LabelVectors.encode(LABELS, load_clip(config))
    return torch.from_numpy(vectors.embeddings("augmented", config.labels.k))
