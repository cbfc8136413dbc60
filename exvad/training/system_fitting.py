"""Fit a system of `exvad.baselines` within a budget, and choose its best step on weak labels.

All systems are chosen by the same rule as the epoch of Ex-VAD: `selection_rank` of the selection
videos, whose labels are those of whole videos. Several learning rates may be tried; the one with
the best rank counts.

N videos · C classes
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from exvad.baselines import Baseline, fit_baseline
from exvad.baselines.common.fitting import DivergedError, total_steps
from exvad.baselines.common.sampling import reduce_length
from exvad.baselines.common.system import Recipe, trainable_parameters
from exvad.inference.calibration import Calibration, calibrate
from exvad.inference.system_prediction import predict_system
from exvad.training.data import labels_of
from exvad.training.validation import selection_rank, video_metrics

if TYPE_CHECKING:
    from exvad.inference.prediction import Prediction
    from exvad.store.examples import Example

HEAD_STEPS, HEAD_RATE = 500, 1e-3
Weights = dict[str, torch.Tensor]
Probe = Callable[[Baseline], Mapping[str, float | None]]
"""Measures a system in the middle of its training."""
Built = Callable[[], Baseline]


@dataclass(frozen=True)
class Budget:
    """What a training may cost at most; what is not limited is as published.

    Args:
        steps: most gradient steps; 0 for the published number.
        videos: most videos per step; 0 for the published number.
        rate_factors: factors on the published learning rate, of which the best is used.
        validations: how often the selection videos are looked at in a training, at least 1.
        head_steps: steps of a class head on a frozen system.
    """

    steps: int = 0
    videos: int = 0
    rate_factors: Sequence[float] = (1.0,)
    validations: int = 10
    head_steps: int = HEAD_STEPS

    def limit(self, recipe: Recipe, abnormal: int, videos: int, longest: int) -> Recipe:
        """Return a recipe within the budget.

        Videos are divided into no more segments than the longest has snippets: more would only
        repeat rows.

        Args:
            recipe: the published recipe.
            abnormal: number of abnormal training videos.
            videos: number of training videos.
            longest: snippets of the longest training video.
        """
        per_step = min(recipe.videos, self.videos or recipe.videos)
        limited = replace(recipe, videos=per_step, snippets=min(recipe.snippets, longest))
        steps = total_steps(limited, abnormal, videos)
        return replace(limited, steps=min(steps, self.steps or steps), epochs=0)


@dataclass(frozen=True)
class FittedSystem:
    """A trained system at its best step.

    Args:
        system: the system, with the class map, in evaluation mode.
        calibration: threshold and confidence, chosen on the selection videos.
        metrics: the selection metrics of the chosen step, with `step` and `rate_factor`.
        variant: the variant that was chosen; "" for the system as it is.
        steps: gradient steps of one training.
        highest: the highest values of the probe, whichever step they are of.
    """

    system: Baseline
    calibration: Calibration
    metrics: dict[str, float]
    steps: int
    highest: dict[str, float]
    variant: str = ""


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[float, float]
    system: Baseline
    metrics: dict[str, float]
    factor: float
    steps: int
    variant: str = ""


class SystemFitter:
    """Trains systems on the same videos by the same rule of selection.

    Args:
        train: training videos at full length.
        select: selection videos at full length, with labels.
        budget: what a training may cost.
        seed: seed of weights, batches and noise.
        device: where to train.
        probe: called at every look at the selection videos, but not for a head on a frozen system;
            it does not change what is chosen.
    """

    def __init__(
        self,
        train: Sequence[Example],
        select: Sequence[Example],
        budget: Budget,
        seed: int,
        device: torch.device,
        probe: Probe | None = None,
    ) -> None:
        self._train, self._select = train, select
        self._budget, self._seed, self._device = budget, seed, device
        self._probe = probe
        self._highest: dict[str, float] = {}
        self._abnormal_N = labels_of(train)[1][:, 0] == 0
        self._longest = max(len(example.visual_TD) for example in train)
        self._select_NC = labels_of(select)[1]

    def fit(
        self,
        build: Built,
        with_map: Callable[[Baseline], Baseline],
        coarse: bool,
        frozen_head: bool,
        variants: Mapping[str, Built] | None = None,
    ) -> FittedSystem:
        """Train a system, and its class head where it has one.

        Args:
            build: makes the untrained system.
            with_map: gives a system its class map; with `frozen_head` it is called on the trained
                system, else on the untrained one.
            coarse: whether the system is scored without classes.
            frozen_head: whether a class head is trained on the frozen system (F2).
            variants: name → makes the untrained system with another option. They are trained with
                the best learning rate, and count where their rank is higher.

        Raises:
            ValueError: see `fit_baseline`; the loss is not finite at any of the learning rates.
        """
        self._highest = {}
        candidates: list[_Candidate] = []
        diverged: DivergedError | None = None

        def train(made: Built, factor: float, variant: str = "") -> None:
            nonlocal diverged
            torch.manual_seed(self._seed)
            system = made() if frozen_head else with_map(made())
            recipe = self._limited(system.recipe, factor)
            try:
                rank, metrics = self._fit_stage(system, recipe, coarse or frozen_head)
            except DivergedError as error:
                diverged = error
                return
            candidates.append(_Candidate(rank, system, metrics, factor, recipe.steps, variant))
            # Of equal ranks the first counts; what lost need not stay in memory.
            candidates[:] = [max(candidates, key=lambda candidate: candidate.rank)]

        for factor in self._budget.rate_factors:
            train(build, factor)
        best_factor = candidates[0].factor if candidates else self._budget.rate_factors[0]
        for name, made in (variants or {}).items():
            train(made, best_factor, name)
        best = candidates[0] if candidates else None
        if best is None:
            assert diverged is not None, "there is at least one factor"
            raise diverged
        system, metrics = best.system, best.metrics
        if frozen_head:
            torch.manual_seed(self._seed)
            system, probe = with_map(system), self._probe
            self._probe = None
            head = replace(
                self._limited(system.recipe, 1.0), optimizer="adam", learning_rate=HEAD_RATE,
                weight_decay=0.0, steps=self._budget.head_steps, milestones=(), cosine=0.0,
                betas=(0.9, 0.999), warm_up=0.0,
            )  # fmt: skip
            metrics = {**self._fit_stage(system, head, False)[1], "step": metrics["step"]}
            self._probe = probe
        metrics = {**metrics, "rate_factor": best.factor}
        calibration = calibrate(self._predict(system, coarse), self._select_NC[:, 0] == 0)
        return FittedSystem(system, calibration, metrics, best.steps, self._highest, best.variant)

    def _limited(self, recipe: Recipe, factor: float) -> Recipe:
        counts = int(self._abnormal_N.sum()), len(self._train)
        limited = self._budget.limit(recipe, *counts, self._longest)
        return replace(limited, learning_rate=limited.learning_rate * factor)

    def _fit_stage(
        self, system: Baseline, recipe: Recipe, coarse: bool
    ) -> tuple[tuple[float, float], dict[str, float]]:
        """Train, and leave the system with the weights of its best step.

        Returns:
            The rank of the best step and its selection metrics.
        """
        system.to(self._device)
        every = max(1, recipe.steps // self._budget.validations)
        best: tuple[tuple[float, float], dict[str, float], Weights] | None = None

        def validate(step: int) -> None:
            nonlocal best
            metrics = self._metrics(self._predict(system, coarse), coarse)
            self._look(system)
            rank = (round(metrics["val_auc"], 6), -metrics["val_loss"])
            if not coarse:
                rank = selection_rank(metrics)
            if best is None or rank > best[0]:
                # On the CPU, so that a GPU holds one copy of the weights.
                weights = {name: value.cpu() for name, value in system.state_dict().items()}
                best = (rank, {**metrics, "step": float(step)}, copy.deepcopy(weights))
            elif system.reload_best:
                system.load_state_dict(best[2])

        def on_step(step: int, _: dict[str, float]) -> None:
            if step % every == 0 or step == recipe.steps:
                validate(step)
                system.train()

        if trainable_parameters(system):
            fit_baseline(system, self._reduced(recipe), recipe, self._seed, on_step)
        else:
            validate(0)
        assert best is not None, "the last step is validated"
        rank, metrics, weights = best
        system.load_state_dict(weights)
        system.eval()
        return rank, metrics

    def _reduced(self, recipe: Recipe) -> list[Example]:
        """Return the training videos as short as the recipe takes them; once, not in each step."""
        return [
            replace(
                example,
                visual_TD=reduce_length(example.visual_TD, recipe.length, recipe.snippets),
                text=example.text
                if example.text is None or example.text.ndim == 1
                else reduce_length(example.text, recipe.length, recipe.snippets),
            )
            for example in self._train
        ]

    def _look(self, system: Baseline) -> None:
        for name, value in (self._probe(system) if self._probe else {}).items():
            if value is not None:
                self._highest[name] = max(value, self._highest.get(name, value))

    def _predict(self, system: Baseline, coarse: bool) -> list[Prediction]:
        return predict_system(system, self._select, coarse)

    def _metrics(self, predictions: list[Prediction], coarse: bool) -> dict[str, float]:
        targets_NC = self._select_NC
        if coarse:
            abnormal_N = (targets_NC[:, 0] == 0).astype(np.float32)
            targets_NC = np.stack([1 - abnormal_N, abnormal_N], axis=1)
        return video_metrics(predictions, targets_NC)
