"""An experiment: train with some settings and measure the result, all in one process.

What a full run does with jobs and checkpoints, for the many small trainings of a comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.evaluation.evaluation import evaluate
from exvad.inference.network import build_network
from exvad.store.run_data import RunData
from exvad.training.fitting import fit, training_data

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.laam.run_labels import RunLabels
    from exvad.store.store import Store


def run_experiment(
    config: Config, manifest: Manifest, store: Store, labels: RunLabels
) -> dict[str, float | None]:
    """Train the detector and return its summary metrics on the test videos.

    Args:
        config: the settings; `train.seed` draws weights and batches.
        manifest: the data set.
        store: where its features are.
        labels: its classes, phrases and their vectors.

    Returns:
        frame_auc, frame_ap, the same over abnormal videos, video_auc, class_accuracy (0 to 1),
        map_strict_average, map_vadclip_average (percent); None for what can't be told.
    """
    data = RunData.read(manifest, store, config)
    torch.manual_seed(config.train.seed)
    label_CD = torch.from_numpy(labels.embeddings(config))
    network = build_network(config, data.bank.width, len(label_CD))
    state = fit(network, label_CD, training_data(data.bank, manifest, config), config)
    network.load_state_dict(state.best_weights)
    unsaved = {"version": "", "weights": ""}
    checkpoint = Checkpoint(
        network, label_CD, labels.phrases, config, state.calibration, {}, unsaved
    )
    return summary_metrics(evaluate(checkpoint, data.bank, manifest).figures)


def summary_metrics(figures: dict[str, Any]) -> dict[str, float | None]:
    """Pick the headline figures from those of an evaluation."""
    names = (
        *("frame_auc", "frame_ap", "frame_auc_abnormal", "frame_ap_abnormal"),
        *("video_auc", "class_accuracy"),
    )
    found: dict[str, float | None] = {name: figures[name] for name in names}
    for protocol in ("strict", "vadclip"):
        by_iou = (figures["map"] or {}).get(protocol) or {}
        found |= {f"map_{protocol}_{iou}": value for iou, value in by_iou.items()}
        found[f"map_{protocol}_average"] = by_iou.get("average")
    return found
