"""Systems are trained within a budget, and the best step on weak labels is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from exvad.baselines import Baseline, Inputs, build_baseline, with_class_map
from exvad.baselines.common.fitting import DivergedError
from exvad.baselines.common.system import Recipe
from exvad.inference.prediction import Prediction
from exvad.inference.system_prediction import predict_system
from exvad.training.system_fitting import Budget, FittedSystem, SystemFitter
from tests.helpers import planted

LABELS_CD = torch.from_numpy(planted.directions())
SMALL: dict[str, Any] = {"steps": 6, "videos": 16, "validations": 3, "head_steps": 4}


def fit(way: str = "coarse", seed: int = 0, **budget: Any) -> FittedSystem:
    """Train RealAD on a few planted videos."""
    train, select = planted.examples(40, 1), planted.examples(20, 2)
    limits = Budget(**{**SMALL, **budget})
    fitter = SystemFitter(train, select, limits, seed, torch.device("cpu"))

    def with_map(system: Baseline) -> Baseline:
        return with_class_map(system, "F2", len(LABELS_CD)) if way == "F2" else system

    return fitter.fit(
        lambda: build_baseline("real_ad", Inputs(planted.WIDTH, LABELS_CD)),
        with_map,
        way == "coarse",
        way == "F2",
    )


def test_budget_limits_steps_videos_and_segments() -> None:
    recipe = Recipe(60, True, "segments", 32, 1e-2, epochs=10)
    limited = Budget(steps=12, videos=16).limit(recipe, abnormal=80, videos=160, longest=20)
    assert (limited.steps, limited.epochs, limited.videos, limited.snippets) == (12, 0, 16, 20)
    published = Budget().limit(recipe, abnormal=90, videos=200, longest=500)
    assert (published.steps, published.videos, published.snippets) == (30, 60, 32)


def test_class_head_leaves_the_scores_of_the_frozen_system() -> None:
    test = planted.examples(4, 3)
    coarse = predict_system(fit().system, test, coarse=True)
    for with_head, alone in zip(predict_system(fit("F2").system, test), coarse, strict=True):
        np.testing.assert_allclose(with_head.scores["classifier"], alone.scores["classifier"])
        assert with_head.probabilities_TC.shape[1] == len(planted.CLASSES)


def test_step_with_the_best_rank_is_kept() -> None:
    fitted = fit(validations=6)
    shorter = fit(steps=int(fitted.metrics["step"]), validations=1)
    assert fitted.metrics["step"] in range(1, 7)
    assert fitted.metrics["val_auc"] >= fit(validations=1).metrics["val_auc"]
    test = planted.examples(3, 4)
    pairs = zip(
        predict_system(fitted.system, test), predict_system(shorter.system, test), strict=True
    )
    for kept, again in pairs:
        np.testing.assert_allclose(kept.scores["classifier"], again.scores["classifier"], rtol=1e-5)


def test_learning_rate_that_diverges_is_not_chosen() -> None:
    assert fit(rate_factors=[1e38, 1.0]).metrics["rate_factor"] == 1.0
    with pytest.raises(DivergedError, match="lower the learning rate"):
        fit(rate_factors=[1e38])


def test_a_rate_whose_scores_are_not_finite_does_not_cost_the_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = iter([True, False, False, False])

    def predict(*arguments: Any) -> list[Prediction]:
        predictions = predict_system(*arguments)
        if next(looks, False):
            predictions[0].probabilities_TC[:] = np.nan
        return predictions

    monkeypatch.setattr("exvad.training.system_fitting.predict_system", predict)
    assert fit(rate_factors=[3.0, 1.0]).metrics["rate_factor"] == 1.0


def test_variant_counts_where_its_rank_is_higher() -> None:
    train, select = planted.examples(40, 1), planted.examples(20, 2)
    fitter = SystemFitter(train, select, Budget(**SMALL), 0, torch.device("cpu"))

    def build(rate: float) -> Baseline:
        system = build_baseline("real_ad", Inputs(planted.WIDTH, LABELS_CD))
        system.recipe = replace(system.recipe, learning_rate=rate)
        return system

    def plain(system: Baseline) -> Baseline:
        return system

    alone = fitter.fit(lambda: build(1e-9), plain, True, False)
    variants = {"none": lambda: build(1e-9), "learns": lambda: build(0.01)}
    chosen = fitter.fit(lambda: build(1e-9), plain, True, False, variants)
    assert (alone.variant, chosen.variant) == ("", "learns")
    assert chosen.metrics["val_auc"] > alone.metrics["val_auc"]


def test_training_goes_on_from_the_best_weights_with_reload_best() -> None:
    plain = fit(steps=12, validations=12, rate_factors=[30])

    def with_reload(reload: bool) -> FittedSystem:
        train, select = planted.examples(40, 1), planted.examples(20, 2)
        limits = Budget(steps=12, videos=16, validations=12, rate_factors=[30])
        fitter = SystemFitter(train, select, limits, 0, torch.device("cpu"))

        def build() -> Baseline:
            system = build_baseline("real_ad", Inputs(planted.WIDTH, LABELS_CD))
            system.reload_best = reload
            return system

        return fitter.fit(build, lambda system: system, True, False)

    assert with_reload(False).metrics == plain.metrics
    assert with_reload(True).metrics != plain.metrics
    assert with_reload(True).metrics["val_auc"] >= 0.5
