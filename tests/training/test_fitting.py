"""Fitting: convergence, the choice of the epoch, resumption, and reproducibility."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exvad.inference.network import build_network
from exvad.modeling import ExVAD
from exvad.training.data import TrainingData
from exvad.training.fitting import (
    FitState,
    ForeignStateError,
    best_network,
    fit,
    is_selected,
    selection_tolerance,
    train_network,
)
from exvad.training.replica import Replica
from exvad.training.validation import validate
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

DATA = TrainingData(examples(64, seed=1), examples(32, seed=2))
LABELS = torch.from_numpy(directions())


def network(*overrides: str) -> ExVAD:
    torch.manual_seed(0)
    return build_network(config(*overrides), WIDTH, len(CLASSES))


def test_fit_finds_planted_anomalies_from_video_labels() -> None:
    settings = config("train.epochs=12")
    state = fit(network(), LABELS, DATA, settings)
    assert state.best_metrics["val_auc"] > 0.95
    assert state.best_metrics["val_map"] > 0.9
    assert 0 < state.calibration.threshold < 1


def test_fit_returns_the_best_epoch() -> None:
    state = fit(network(), LABELS, DATA, config())
    ranks = [(round((h["val_auc"] + h["val_map"]) / 2, 6), -h["val_loss"]) for h in state.history]
    assert state.best_metrics == state.history[ranks.index(max(ranks))]
    best = best_network(config(), LABELS, state)
    _, metrics = validate(best, LABELS, DATA.select, config())
    assert metrics["val_loss"] == pytest.approx(state.best_metrics["val_loss"], abs=1e-6)


def test_fit_with_a_tolerance_returns_the_last_epoch_that_is_about_as_good() -> None:
    everything = fit(network(), LABELS, DATA, config("train.tolerance=1"))
    assert everything.best_metrics == everything.history[-1]
    state = fit(network(), LABELS, DATA, config("train.tolerance=0.01"))
    values = [(h["val_auc"] + h["val_map"]) / 2 for h in state.history]
    good = [epoch for epoch, value in enumerate(values) if value >= max(values) - 0.01 - 1e-6]
    assert state.best_metrics == state.history[good[-1]]


def test_tolerance_is_the_noise_of_the_videos_for_grounded_text_only() -> None:
    assert selection_tolerance(config("model.text=grounded"), 25) == pytest.approx(0.1)
    assert selection_tolerance(config("model.text=explanation"), 25) is None
    assert selection_tolerance(config("model.text=grounded", "train.tolerance=0"), 25) == 0


def test_is_selected_compares_with_the_best_epoch_and_not_with_the_selected_one() -> None:
    state = fit(network(), LABELS, DATA, config("train.epochs=1"))
    best, middle, last = (
        {"val_auc": value, "val_map": value, "val_loss": 1.0} for value in (0.9, 0.84, 0.78)
    )
    state = replace(state, history=[best, middle], best_metrics=middle)
    assert not is_selected(last, state, tolerance=0.07)
    assert is_selected(last, state, tolerance=0.13)
    assert not is_selected(last, state, tolerance=None)


def test_fit_resumed_equals_an_uninterrupted_fit_bit_for_bit(tmp_path: Path) -> None:
    uninterrupted = fit(network(), LABELS, DATA, config("train.epochs=4"))
    first_half = fit(network(), LABELS, DATA, config("train.epochs=2"))
    torch.save(first_half.to_dict(), tmp_path / "state.pt")
    saved = FitState.from_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed = fit(network(), LABELS, DATA, config("train.epochs=4"), resume=saved)
    assert resumed.history == uninterrupted.history
    for name, tensor in uninterrupted.weights.items():
        assert torch.equal(tensor, resumed.weights[name]), name


def test_fit_continues_from_no_state_of_another_network() -> None:
    data, label_CD = TrainingData(examples(8, seed=1), examples(8, seed=2)), directions()
    state = train_network(config("train.epochs=1"), torch.from_numpy(label_CD), data)
    settings = config("train.epochs=2", "model.layers=2")
    with pytest.raises(ForeignStateError, match="adapter"):
        train_network(settings, torch.from_numpy(label_CD), data, resume=state)
    mixed = replace(state, trainer=replace(state.trainer, optimizer={"state": {}}))
    with pytest.raises(ForeignStateError):
        train_network(config("train.epochs=2"), torch.from_numpy(label_CD), data, resume=mixed)


def test_train_network_gives_equal_weights_for_equal_seeds_only() -> None:
    one, two, other = (
        train_network(config("train.epochs=1", f"train.seed={seed}"), LABELS, DATA)
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)
    assert not all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_train_network_equals_seeding_building_and_fitting_by_hand() -> None:
    settings = config("train.epochs=2", "train.seed=3")
    trained = train_network(settings, LABELS, DATA)
    torch.manual_seed(3)
    by_hand = fit(build_network(settings, WIDTH, len(CLASSES)), LABELS, DATA, settings)
    assert trained.history == by_hand.history
    for name, tensor in by_hand.best_weights.items():
        assert torch.equal(tensor, trained.best_weights[name]), name


def test_fit_calls_on_epoch_after_every_epoch() -> None:
    epochs: list[float] = []
    fit(network(), LABELS, DATA, config(), on_epoch=lambda s: epochs.append(s.history[-1]["epoch"]))
    assert epochs == [1, 2, 3, 4]


def test_fit_converges_in_half_precision() -> None:
    settings = config("train.epochs=12", "train.precision=bfloat16")
    state = fit(network(), LABELS, DATA, settings)
    assert state.best_metrics["val_auc"] > 0.95
    assert all(weight.dtype == torch.float32 for weight in state.weights.values())
    plain = fit(network(), LABELS, DATA, config("train.epochs=1")).history[0]["total"]
    assert state.history[0]["total"] == pytest.approx(plain, rel=0.02)
    assert state.history[0]["total"] != plain


@pytest.mark.slow
def test_fit_of_a_compiled_network_has_the_same_history() -> None:
    plain = fit(network(), LABELS, DATA, config("train.epochs=2"))
    compiled = fit(network(), LABELS, DATA, config("train.epochs=2", "train.compile=true"))
    assert list(compiled.weights) == list(plain.weights)
    for one, other in zip(plain.history, compiled.history, strict=True):
        assert other == pytest.approx(one, rel=1e-3)


def test_replica_alone_is_on_the_gpu_that_the_training_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Replica.alone(config().train).device == torch.device("cpu")
    with_gpu = config("train.gpu=true").train
    with pytest.raises(ValueError, match="no GPU can be used here"):
        Replica.alone(with_gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Replica.alone(with_gpu).device == torch.device("cuda")
