"""One training with given settings, measured on the test set in the same process.

Comparisons of many small trainings use it instead of the jobs and checkpoint folders of a full run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.evaluation.evaluation import evaluate
from exvad.evaluation.scored import NEWER_METRICS, PROTOCOLS
from exvad.store.run_data import RunData
from exvad.training.data import training_data
from exvad.training.fitting import best_network, train_network
from exvad.training.replica import Replica

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.laam.run_labels import RunLabels
    from exvad.store.store import Store

SUMMARY_NAMES = (
    "frame_auc",
    "frame_ap",
    "frame_auc_abnormal",
    "frame_ap_abnormal",
    "video_auc",
    "class_accuracy",
    *NEWER_METRICS,
)


def run_experiment(
    config: Config, manifest: Manifest, store: Store, labels: RunLabels
) -> dict[str, float | None]:
    """Train the detector and return its summary metrics on the test videos.

    Both are computed on the GPU of this process if `train.gpu` is set, else on the CPU.

    Args:
        config: the settings; `train.seed` is the seed of the weights and batches.
        manifest: the data set.
        store: the store with its features.
        labels: its classes and phrases with their vectors.

    Returns:
        See `summary_metrics`.

    Raises:
        ValueError: `train.gpu` is set and this process has no GPU.
    """
    replica = Replica.alone(config.train)
    data = RunData.read(manifest, store, config)
    label_CD = torch.from_numpy(labels.embeddings(config))
    examples = training_data(data.bank, manifest, config)
    state = train_network(config, label_CD, examples, replica=replica)
    network = best_network(config, label_CD, state).to(replica.device)
    unsaved = {"version": "", "weights": ""}
    checkpoint = Checkpoint(
        network, label_CD, labels.phrases, config, state.calibration, {}, unsaved
    )
    return summary_metrics(evaluate(checkpoint, data.bank, manifest).metrics)


def summary_metrics(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Return the summary metrics among those of an evaluation, without nesting.

    Args:
        metrics: `Evaluation.metrics`, or the content of a run's summary.json.

    Returns:
        frame_auc, frame_ap, the same over abnormal videos, latency_ap, calibration_error,
        video_auc, class_accuracy (0 to 1), false_alarms_per_hour, map_PROTOCOL_IOU and
        map_PROTOCOL_average (percent); None for undefined metrics.
    """
    # Summaries of runs that are older than a metric lack it.
    summary: dict[str, float | None] = {name: metrics.get(name) for name in SUMMARY_NAMES}
    for protocol in PROTOCOLS:
        by_iou = (metrics["map"] or {}).get(protocol) or {}
        summary |= {f"map_{protocol}_{iou}": value for iou, value in by_iou.items()}
        summary[f"map_{protocol}_average"] = by_iou.get("average")
    return summary
