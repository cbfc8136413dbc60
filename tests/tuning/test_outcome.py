"""The note about a winner is honest about luck and noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pytest

from exvad.config import load_config
from exvad.tuning.confirm import ConfirmedSetting
from exvad.tuning.outcome import compare_with_start, describe_best
from exvad.tuning.records import TrialRecord

if TYPE_CHECKING:
    from exvad.training.fitting import FitState

NO_STATE = cast("FitState", None)


def setting(scores: Sequence[float]) -> ConfirmedSetting:
    metrics = [{"val_auc": score, "val_map": score} for score in scores]
    return ConfirmedSetting({}, metrics, NO_STATE, load_config("demo"))


def test_confirmed_setting_has_the_mean_and_deviation_of_its_seeds() -> None:
    assert setting([0.5, 0.7]).mean == pytest.approx(0.6)
    assert setting([0.5, 0.7]).deviation == pytest.approx(0.02**0.5)
    assert setting([0.5, 0.7]).estimate == "0.6000 ± 0.1414"


def test_confirmed_setting_of_one_seed_has_no_deviation() -> None:
    assert setting([0.5]).deviation is None
    assert setting([0.5]).estimate == "0.5000"
    assert "±" not in compare_with_start(setting([0.6]), setting([0.5]))


@pytest.mark.parametrize(
    ("winner", "start", "verdict"),
    [
        ([0.5], [0.5], "found nothing better than the preset"),
        ([0.6], [0.5], "by 0.1000, with one seed each: it may be luck"),
        ([0.5, 0.7], [0.4, 0.6], "by 0.1000, which is within the noise of the seeds"),
        ([0.89, 0.91], [0.5, 0.51], "by 0.3950, more than the noise of the seeds"),
    ],
)
def test_compare_with_start_names_luck_and_noise(
    winner: list[float], start: list[float], verdict: str
) -> None:
    assert verdict in compare_with_start(setting(winner), setting(start))


def test_describe_best_names_the_best_trial_so_far() -> None:
    best = TrialRecord({"labels.k": 4}, {"best_val_auc": 0.8, "best_val_map": 0.6})
    described = describe_best([best], "3 of 6 trials")
    assert (
        described == "Stopped after 3 of 6 trials; the best so far reached 0.7000 with labels.k=4."
    )
    assert describe_best([], "1 of 6 trials") == "Stopped after 1 of 6 trials; no trial succeeded."
