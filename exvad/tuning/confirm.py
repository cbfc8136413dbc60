"""Confirmation: train the best settings again with several seeds, as one training may be luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from exvad.config import Config, override_config
from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.progress.terminal import progress_bar
from exvad.tuning.records import OBJECTIVES
from exvad.tuning.trial import train_once, use_reserved_cores

if TYPE_CHECKING:
    from exvad.training.fitting import FitState


TITLE = "confirming"


@dataclass(frozen=True)
class ConfirmedSetting:
    """A setting that was trained with several seeds.

    Args:
        parameters: the drawn settings; empty for the configuration as it is.
        metrics: per seed, the validation metrics of its best epoch.
        state: the state of the first seed's training.
        config: the configuration of the first seed.
    """

    parameters: dict[str, Any]
    metrics: list[dict[str, float]]
    state: FitState
    config: Config

    @property
    def scores(self) -> list[float]:
        """Per seed, the mean of validation AUC and mAP: the score that trials are ranked by."""
        names = [name.removeprefix("best_") for name in OBJECTIVES]
        return [float(np.mean([of_seed[name] for name in names])) for of_seed in self.metrics]

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the scores; None for a single seed, which has none."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @property
    def estimate(self) -> str:
        """The mean score as text, with its deviation if there is one."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.4f}"
        return f"{self.mean:.4f}{spread}"


def confirm(
    settings: Sequence[dict[str, Any]], seeds: int, config: Config, shared: Mapping[str, Any]
) -> list[ConfirmedSetting]:
    """Train settings with several seeds, side by side on Ray.

    Args:
        settings: the drawn settings, dotted key → value each.
        seeds: trainings per setting.
        config: the configuration of the sweep, which the settings override.
        shared: `bank`, `manifest` and `labels` of `train_once`, as values or object references.

    Returns:
        The settings with their results, the best mean score first.
    """
    options = {"num_cpus": config.tune.cpus, "num_gpus": config.trial_gpus}
    task = ray.remote(max_retries=config.train.max_failures, **options)(_train_seed)
    references = {name: _reference(value) for name, value in shared.items()}
    first_seed = config.train.seed
    configs = [
        [
            override_config(config, {**parameters, "train.seed": seed})
            for seed in range(first_seed, first_seed + seeds)
        ]
        for parameters in settings
    ]
    pending = [
        [task.remote(seeded, **references) for seeded in of_setting] for of_setting in configs
    ]
    _wait([reference for of_setting in pending for reference in of_setting])
    confirmed = []
    for parameters, of_setting, trained in zip(settings, configs, pending, strict=True):
        states = ray.get(trained)
        metrics = [state.best_metrics for state in states]
        confirmed.append(ConfirmedSetting(parameters, metrics, states[0], of_setting[0]))
    return sorted(confirmed, key=lambda setting: -setting.mean)


def _reference(value: Any) -> ray.ObjectRef:
    return value if isinstance(value, ray.ObjectRef) else ray.put(value)


def _wait(pending: list[ray.ObjectRef]) -> None:
    """Wait for trainings; show how many have ended."""
    with progress_bar() as bar, waiting_reported(TITLE) as reporter:
        row = bar.add_task(TITLE, total=len(pending))
        while pending:
            # The states of many trainings stay where they are until they are needed.
            _, pending = ray.wait(pending, fetch_local=False)
            reporter.progress()
            bar.advance(row)


def _train_seed(config: Config, bank: Any, manifest: Any, labels: Any) -> FitState:
    use_reserved_cores(config)
    return train_once(config, bank, manifest, labels)
