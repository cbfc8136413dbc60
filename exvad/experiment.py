"""An experiment: train with some settings and measure the result, all in one process.

What a full run does with jobs and checkpoints, for the many small trainings of a comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.store import Store
    from exvad.laam import LabelPhrases


def run_experiment(
    config: Config,
    manifest: Manifest,
    store: Store,
    labels: LabelPhrases,
    label_CD: NDArray[np.float32],
) -> dict[str, float | None]:
    """Train the detector and return its headline figures on the test videos.

    Args:
        config: the settings; `train.seed` draws weights and batches.
        manifest: the data set.
        store: where its features are.
        labels: its classes and phrases.
        label_CD: their embeddings F_L, as `labels` settings make them.

    Returns:
        frame_auc, frame_ap, the same over abnormal videos, video_auc, class_accuracy (0 to 1),
        map_strict_average, map_vadclip_average (percent); None for what can't be told.
    """
    import torch

    from exvad.checkpoint import Checkpoint, build_network
    from exvad.data.features import FeatureBank, missing_features
    from exvad.evaluation import evaluate
    from exvad.fit import fit, training_data

    ids = [video.video_id for video in manifest.videos]
    text, crop = config.model.text, config.data.test_crop
    missing = missing_features(store, ids, text, crop)
    bank = FeatureBank.build(store, [v for v in ids if v not in missing], text, crop)
    torch.manual_seed(config.train.seed)
    label_tensor = torch.from_numpy(label_CD)
    network = build_network(config, bank.width, len(label_CD))
    state = fit(network, label_tensor, training_data(bank, manifest, config), config)
    network.load_state_dict(state.best_weights)
    unsaved = {"version": "", "weights": ""}
    checkpoint = Checkpoint(network, label_tensor, labels, config, state.calibration, {}, unsaved)
    return headline(evaluate(checkpoint, bank, manifest).figures)


def headline(figures: dict[str, Any]) -> dict[str, float | None]:
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
