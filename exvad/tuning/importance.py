"""The importance of each setting, as Optuna estimates it from the trials."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from exvad.tuning.records import TrialRecord, best_first
from exvad.tuning.space import Choice, Dimension, FloatRange

MIN_TRIALS = 4


def parameter_importance(
    records: Sequence[TrialRecord], space: dict[str, Dimension]
) -> dict[str, float]:
    """Return the share of the variance of the score that each setting explains (fANOVA).

    Args:
        records: the trials.
        space: the search space.

    Returns:
        Setting → share, 0 to 1; empty if there are too few trials or all scores are equal.
    """
    ended = best_first(records)
    if len(ended) < MIN_TRIALS or len({record.score for record in ended}) == 1:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for record in ended:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: record.parameters[name] for name in space},
                distributions={name: _distribution(space[name]) for name in space},
                value=record.score,
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    importance = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in importance.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension, FloatRange):
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
