"""Fitting: learning, choosing, and going on after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from exvad.inference.network import build_network
from exvad.modeling import ExVAD
from exvad.training.fitting import FitState, TrainingData, fit, validate
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

DATA = TrainingData(examples(64, seed=1), examples(32, seed=2))
LABELS = torch.from_numpy(directions())


def network(*overrides: str) -> ExVAD:
    torch.manual_seed(0)
    return build_network(config(*overrides), WIDTH, len(CLASSES))


def test_planted_anomalies_are_learnt_from_video_labels() -> None:
    settings = config("train.epochs=12")
    state = fit(network(), LABELS, DATA, settings)
    assert state.best["val_auc"] > 0.95
    assert state.best["val_map"] > 0.9
    assert 0 < state.calibration.threshold < 1


def test_the_best_epoch_is_kept() -> None:
    state = fit(network(), LABELS, DATA, config())
    ranks = [(round((h["val_auc"] + h["val_map"]) / 2, 6), -h["val_loss"]) for h in state.history]
    assert state.best == state.history[ranks.index(max(ranks))]
    best = network()
    best.load_state_dict(state.best_weights)
    _, figures = validate(best, LABELS, DATA.select, config())
    assert figures["val_loss"] == pytest.approx(state.best["val_loss"], abs=1e-6)


def test_a_resumed_training_ends_up_bit_for_bit_as_an_undisturbed_one(tmp_path: Path) -> None:
    whole = fit(network(), LABELS, DATA, config("train.epochs=4"))
    half = fit(network(), LABELS, DATA, config("train.epochs=2"))
    torch.save(half.to_dict(), tmp_path / "state.pt")
    saved = FitState.from_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed = fit(network(), LABELS, DATA, config("train.epochs=4"), resume=saved)
    assert resumed.history == whole.history
    for name, tensor in whole.weights.items():
        assert torch.equal(tensor, resumed.weights[name]), name


def test_a_seed_decides_the_weights() -> None:
    one, two = (fit(network(), LABELS, DATA, config("train.epochs=1")) for _ in range(2))
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_every_epoch_is_told() -> None:
    told: list[float] = []
    fit(network(), LABELS, DATA, config(), on_epoch=lambda s: told.append(s.history[-1]["epoch"]))
    assert told == [1, 2, 3, 4]


def test_half_precision_learns_as_well() -> None:
    settings = config("train.epochs=12", "train.precision=bfloat16")
    state = fit(network(), LABELS, DATA, settings)
    assert state.best["val_auc"] > 0.95
    assert all(weight.dtype == torch.float32 for weight in state.weights.values())
    plain = fit(network(), LABELS, DATA, config("train.epochs=1")).history[0]["total"]
    assert state.history[0]["total"] == pytest.approx(plain, rel=0.02)
    assert state.history[0]["total"] != plain


@pytest.mark.slow
def test_a_compiled_network_learns_the_same() -> None:
    plain = fit(network(), LABELS, DATA, config("train.epochs=2"))
    compiled = fit(network(), LABELS, DATA, config("train.epochs=2", "train.compile=true"))
    assert list(compiled.weights) == list(plain.weights)
    for one, other in zip(plain.history, compiled.history, strict=True):
        assert other == pytest.approx(one, rel=1e-3)
