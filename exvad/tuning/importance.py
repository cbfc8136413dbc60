"""Which settings matter, as Optuna judges it from the trials."""

from __future__ import annotations

from collections.abc import Sequence

from exvad.tuning.search import Record, best_first
from exvad.tuning.space import Choice, Dimension, FloatRange

LEAST_TRIALS = 4


def importances(records: Sequence[Record], space: dict[str, Dimension]) -> dict[str, float]:
    """Return the share of the score's differences that each setting explains; empty if unknown.

    Args:
        records: the trials.
        space: what was drawn.
    """
    import optuna

    done = best_first(records)
    if len(done) < LEAST_TRIALS or len({record.score for record in done}) == 1:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for record in done:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: record.parameters[name] for name in space},
                distributions={name: _distribution(space[name]) for name in space},
                value=record.score,
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def _distribution(dimension: Dimension):  # type: ignore[no-untyped-def]
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension, FloatRange):
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
