"""The importance of settings as Optuna estimates it."""

from __future__ import annotations

from exvad.tuning.importance import parameter_importance
from exvad.tuning.records import TrialRecord
from exvad.tuning.space import Choice, Dimension, FloatRange

SPACE: dict[str, Dimension] = {
    "model.tau": FloatRange(type="float", low=0.0, high=1.0),
    "model.fusion": Choice(type="choice", values=["add", "concat"]),
}


def record(tau: float, fusion: str, score: float) -> TrialRecord:
    parameters = {"model.tau": tau, "model.fusion": fusion}
    return TrialRecord(parameters, {"best_val_auc": score, "best_val_map": score})


RECORDS = [record(n / 20, ["add", "concat"][n % 2], n / 20) for n in range(20)]


def test_the_setting_that_decides_the_score_is_important() -> None:
    assert parameter_importance(RECORDS, SPACE)["model.tau"] > 0.8


def test_importance_is_unknown_for_too_few_trials_and_for_equal_scores() -> None:
    assert parameter_importance(RECORDS[:2], SPACE) == {}
    assert parameter_importance([record(n / 20, "add", 0.5) for n in range(20)], SPACE) == {}
