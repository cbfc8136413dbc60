"""Confirmation: the best trials once more with several seeds, because one training may be luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.tuning.search import OBJECTIVES, Record
from exvad.tuning.trial import drawn_overrides, train_once

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.training.fitting import FitState


@dataclass(frozen=True)
class Confirmed:
    """A setting trained with several seeds.

    Args:
        parameters: the draw.
        figures: of each seed: the validation figures of its best epoch.
        state: of the first seed's training.
        config: of the first seed.
    """

    parameters: dict[str, Any]
    figures: list[dict[str, float]]
    state: FitState
    config: Config

    @property
    def scores(self) -> list[float]:
        """Of each seed: the mean of validation AUC and mAP, which trials are ranked by."""
        names = [name.removeprefix("best_") for name in OBJECTIVES]
        return [float(np.mean([own[name] for name in names])) for own in self.figures]

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float:
        """The standard deviation of the scores; 0 for a single seed."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


def confirm(
    best: Sequence[Record],
    seeds: int,
    preset: str,
    overrides: Sequence[str],
    shared: dict[str, Any],
) -> list[Confirmed]:
    """Train settings with several seeds, side by side on Ray; the best mean comes first.

    Args:
        best: the settings.
        seeds: trainings of each.
        preset: the preset.
        overrides: dotted overrides of the sweep.
        shared: `bank`, `manifest` and `labels`, as object references or values.
    """
    import ray

    from exvad.config import load_config

    first = load_config(preset, overrides)
    resources = {"num_cpus": first.tune.cpus}
    if first.train.gpu:
        resources["num_gpus"] = first.tune.gpus
    task = ray.remote(**resources)(_train)
    configs = [
        [
            load_config(
                preset,
                [*overrides, *drawn_overrides(record.parameters), f"train.seed={seed}"],
            )
            for seed in range(first.train.seed, first.train.seed + seeds)
        ]
        for record in best
    ]
    waiting = [[task.remote(config, **shared) for config in own] for own in configs]
    confirmed = []
    for record, own, references in zip(best, configs, waiting, strict=True):
        states = ray.get(references)
        figures = [state.best for state in states]
        confirmed.append(Confirmed(record.parameters, figures, states[0], own[0]))
    return sorted(confirmed, key=lambda each: -each.mean)


def _train(config: Config, bank: Any, manifest: Any, labels: Any) -> FitState:
    return train_once(config, bank, manifest, labels)
