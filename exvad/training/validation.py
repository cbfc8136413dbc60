"""Metrics on the selection examples, for which only video labels are known.

N videos · C classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from exvad.baselines.common.fitting import DivergedError
from exvad.inference.prediction import BRANCHES, Prediction, predict
from exvad.training.data import labels_of
from exvad.training.replica import Replica

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.modeling.exvad import ExVAD
    from exvad.store.examples import Example


def validate(
    network: ExVAD,
    label_CD: torch.Tensor,
    examples: Sequence[Example],
    config: Config,
    replica: Replica | None = None,
) -> tuple[list[Prediction], dict[str, float]]:
    """Predict the selection examples and compute their video-level metrics.

    Args:
        network: the network; its training mode is restored.
        label_CD: label embeddings F_L.
        examples: the selection examples, with labels.
        config: `model.tau` and `model.max_snippets`.
        replica: this worker, which predicts its share of the examples; None for a single one.

    Returns:
        The predictions, and the metrics `val_auc` (normal against abnormal, of the better branch),
        `val_map` (mean average precision over the classes that occur), `val_accuracy` and
        `val_loss`.

    Raises:
        DivergedError: see `video_metrics`.
    """
    was_training = network.training
    replica = replica or Replica()
    _, targets_NC = labels_of(examples)
    own = (examples[row] for row in range(replica.rank, len(examples), replica.world_size))
    shares = replica.gather(
        predict(network, label_CD, own, config.model.tau, config.model.max_snippets)
    )
    network.train(was_training)
    predictions = [
        shares[row % replica.world_size][row // replica.world_size] for row in range(len(examples))
    ]
    return predictions, video_metrics(predictions, targets_NC)


def video_metrics(
    predictions: Sequence[Prediction], targets_NC: NDArray[np.float32]
) -> dict[str, float]:
    """Compute the video-level metrics of predictions, as `validate` returns them.

    Args:
        predictions: one per video.
        targets_NC: multi-hot labels of the videos, the normal class first.

    Raises:
        DivergedError: a prediction is not finite.
    """
    broken = sum(not prediction.is_finite() for prediction in predictions)
    if broken:
        raise DivergedError(
            f"the scores of {broken} of {len(predictions)} selection videos are not finite: lower "
            "the learning rate, or check the features of these videos"
        )
    scores_NC = np.stack([prediction.video_probabilities() for prediction in predictions])
    abnormal_N = targets_NC[:, 0] == 0
    auc = 0.5
    if abnormal_N.any() and not abnormal_N.all():
        auc = max(
            roc_auc_score(
                abnormal_N, [prediction.video_score(branch) for prediction in predictions]
            )
            for branch in BRANCHES
        )
    present = [label for label in range(targets_NC.shape[1]) if targets_NC[:, label].any()]
    precisions = [
        average_precision_score(targets_NC[:, label], scores_NC[:, label]) for label in present
    ]
    correct_N = targets_NC[np.arange(len(targets_NC)), scores_NC.argmax(1)] > 0
    predicted_NC = scores_NC / scores_NC.sum(1, keepdims=True)
    true_NC = targets_NC / targets_NC.sum(1, keepdims=True)
    loss = -(true_NC * np.log(np.clip(predicted_NC, 1e-8, 1))).sum(1).mean()
    return {
        "val_auc": float(auc),
        "val_map": float(np.mean(precisions)),
        "val_accuracy": float(correct_N.mean()),
        "val_loss": float(loss),
    }


def selection_rank(metrics: Mapping[str, float]) -> tuple[float, float]:
    """Return the key that orders epochs by their metrics; the best epoch has the highest.

    The key is the mean of video-level AUC and mAP, then the negative loss. Frame-level metrics are
    unknown: validation videos have the same weak labels as training videos.
    """
    return round((metrics["val_auc"] + metrics["val_map"]) / 2, 6), -metrics["val_loss"]
