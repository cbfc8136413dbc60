"""Experiments: where they compute, and summary metrics without nesting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import Config
from exvad.evaluation import experiment
from exvad.evaluation.experiment import SUMMARY_NAMES, run_experiment, summary_metrics
from exvad.inference.network import build_network
from exvad.store.run_data import RunData
from exvad.training.replica import Replica
from tests.helpers.planted import CLASSES, WIDTH, directions
from tests.helpers.planted import config as planted_config

METRICS = dict.fromkeys(SUMMARY_NAMES, 0.5)


def test_summary_metrics_flatten_map_by_protocol_and_iou() -> None:
    by_iou = {"strict": {"0.1": 40.0, "average": 30.0}, "vadclip": {"0.1": 20.0, "average": 10.0}}
    assert summary_metrics({**METRICS, "map": by_iou, "videos": 7}) == {
        **METRICS,
        "map_strict_0.1": 40.0,
        "map_strict_average": 30.0,
        "map_vadclip_0.1": 20.0,
        "map_vadclip_average": 10.0,
    }


def test_summary_metrics_without_event_times_have_no_map() -> None:
    summary = summary_metrics({**METRICS, "map": None})
    assert summary == {**METRICS, "map_strict_average": None, "map_vadclip_average": None}


def test_run_experiment_trains_and_predicts_on_the_gpu_that_it_reserved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no GPU here, so the meta device, which computes nothing, stands for it."""
    meta = torch.device("meta")
    devices: list[torch.device] = []

    def train(config: Config, label_CD: torch.Tensor, data: Any, replica: Replica) -> Any:
        devices.append(replica.device)
        weights = build_network(config, WIDTH, len(CLASSES)).state_dict()
        return SimpleNamespace(best_weights=weights, calibration=None)

    def measure(checkpoint: Checkpoint, *_: Any) -> Any:
        devices.append(next(checkpoint.network.parameters()).device)
        return SimpleNamespace(metrics={**METRICS, "map": None})

    monkeypatch.setattr(Replica, "alone", lambda _: Replica(meta))
    monkeypatch.setattr(experiment, "train_network", train)
    monkeypatch.setattr(experiment, "evaluate", measure)
    monkeypatch.setattr(experiment, "training_data", lambda *_: None)
    monkeypatch.setattr(RunData, "read", lambda *_: SimpleNamespace(bank=None))
    labels: Any = SimpleNamespace(embeddings=lambda _: directions(), phrases=None)
    run_experiment(planted_config(), cast(Any, None), cast(Any, None), labels)
    assert devices == [meta, meta]
