"""The search: Ray Tune with Optuna's samplers and ASHA, resumable after an interruption."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.logger import JsonLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from exvad.config import Config
from exvad.data.storage.places import Place
from exvad.tuning.progress import SweepProgress
from exvad.tuning.records import OBJECTIVES, TrialRecord
from exvad.tuning.space import Dimension, grid_space, sampling_space
from exvad.tuning.trial_state import FailedBeforeError

Method = Literal["tpe", "nsga2", "random", "grid"]
# ASHA stops no trial in the first 1/8 of a training; at each later rung a third continues.
GRACE_DIVISOR, REDUCTION_FACTOR = 8, 3
# How the names of Ray Tune's files begin: those of a sweep, and those of either kind of sampler.
SAVED = {"tuner.pkl", "experiment_state"}
SAVED_SAMPLERS = ({"searcher-state", "search_gen_state"}, {"basic-variant-state"})
CURVES = ("total", "val_auc", "val_map", "val_accuracy", "val_loss")


@dataclass(frozen=True)
class SearchPlan:
    """How to search.

    Args:
        trials: number of trials; `grid` runs all combinations instead.
        method: the sampler.
        early_stop: whether ASHA stops trials that are not promising; `nsga2` never stops any.
    """

    trials: int
    method: Method = "tpe"
    early_stop: bool = True


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Args:
        records: the trials that started.
        planned: number of trials that were planned.
        interrupted: whether Ctrl-C or SIGTERM ended the search.
    """

    records: list[TrialRecord]
    planned: int
    interrupted: bool


def search(
    trainable: Callable[..., None],
    space: dict[str, Dimension],
    config: Config,
    folder: Place,
    plan: SearchPlan,
    resume: bool = False,
) -> SearchResult:
    """Run the search, or the rest of it; Ctrl-C or SIGTERM ends it with the results so far.

    Args:
        trainable: a function trainable of Ray Tune.
        space: the search space.
        config: number of epochs, seed, resources per trial, and how often a trial is started again
            whose process was lost.
        folder: the folder in which Ray Tune stores the sweep.
        plan: how to search.
        resume: whether to resume the sweep in the folder; trials that ended or failed by themselves
            are not run again, and others continue after their last saved epoch.
    """
    resources = {"cpu": config.tune.cpus, "gpu": config.trial_gpus}
    function = tune.with_resources(trainable, resources)
    planned = plan.trials
    if plan.method == "grid":
        planned = math.prod(len(points["grid_search"]) for points in grid_space(space).values())
    # The sweep itself reports failed and interrupted trials.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if resume and has_saved_state(folder):
        filesystem, path = folder.to_arrow()
        tuner = tune.Tuner.restore(
            path,
            trainable=function,
            resume_unfinished=True,
            # One that failed by itself fails again at once (`FailedBeforeError`); one that lost its
            # process, or whose node did not see the run, gets another chance.
            resume_errored=True,
            storage_filesystem=filesystem,
        )
    else:
        progress = SweepProgress(planned, config.train.epochs)
        tuner = _make_tuner(function, space, config, folder, plan, progress)
    with _graceful_interrupt() as interrupted:
        results = tuner.fit()
    records = [
        _record(result, config.train.epochs, interrupted.is_set())
        for result in results
        if result.config is not None
    ]
    return SearchResult(records, planned, interrupted.is_set())


def has_saved_state(folder: Place) -> bool:
    """Return whether Ray Tune has saved all that a sweep needs to be resumed.

    A sweep that was killed at its very start has nothing, or a part of it.

    Args:
        folder: the folder of the sweep.
    """
    names = folder.list_files()
    kinds = SAVED.union(*SAVED_SAMPLERS)
    saved = {kind for kind in kinds if any(name.startswith(kind) for name in names)}
    return any(saved >= SAVED | sampler for sampler in SAVED_SAMPLERS)


@contextmanager
def _graceful_interrupt() -> Iterator[threading.Event]:
    """Make the first Ctrl-C or SIGTERM end Ray Tune with its state saved.

    Ray Tune does not report whether a signal ended it. So this handler catches it first and passes
    it on as SIGUSR1, another signal that ends Ray Tune.

    Yields:
        An event that is set if the search was interrupted.
    """
    interrupted = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def pass_on(*_: object) -> None:
        interrupted.set()
        for number in signals:
            signal.signal(number, originals[number])
        signal.raise_signal(signal.SIGUSR1)

    # The variable stays set: this process has no other use for Ray Tune's own handler.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    originals = {number: signal.signal(number, pass_on) for number in signals}
    try:
        yield interrupted
    finally:
        for number in signals:
            signal.signal(number, originals[number])


def _make_tuner(
    function: Any,
    space: dict[str, Dimension],
    config: Config,
    folder: Place,
    plan: SearchPlan,
    progress: SweepProgress,
) -> tune.Tuner:
    filesystem, path = folder.to_arrow()
    parent, _, name = path.rpartition("/")
    return tune.Tuner(
        function,
        param_space=grid_space(space) if plan.method == "grid" else sampling_space(space),
        tune_config=_tune_config(plan, config.train.epochs, config.train.seed),
        run_config=tune.RunConfig(
            name=name,
            storage_path=parent,
            storage_filesystem=filesystem,
            verbose=0,
            callbacks=[JsonLoggerCallback(), progress],
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            failure_config=tune.FailureConfig(max_failures=config.train.max_failures),
        ),
    )


def _tune_config(plan: SearchPlan, epochs: int, seed: int) -> tune.TuneConfig:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Starting a process takes longer than a small training, so trials share processes.
    settings: dict[str, Any] = {"num_samples": plan.trials, "reuse_actors": True}
    if plan.method == "nsga2":
        population = max(4, plan.trials // 4)
        sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
        goals = {"metric": list(OBJECTIVES), "mode": ["max"] * len(OBJECTIVES)}
        return tune.TuneConfig(**settings, search_alg=OptunaSearch(sampler=sampler, **goals))
    settings |= {"metric": "score", "mode": "max"}
    if plan.early_stop:
        settings["scheduler"] = ASHAScheduler(
            # Not Ray Tune's own count, which goes on when a trial is taken up at an earlier epoch.
            time_attr="epoch",
            max_t=epochs,
            grace_period=max(1, epochs // GRACE_DIVISOR),
            reduction_factor=REDUCTION_FACTOR,
        )
    if plan.method == "tpe":
        # Stopped trials report only their first epochs. That is enough to rank the other trials.
        startup = max(5, plan.trials // 4)
        tpe = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        settings["search_alg"] = OptunaSearch(sampler=tpe)
    elif plan.method == "random":
        settings["search_alg"] = BasicVariantGenerator(random_state=seed)
    else:
        settings["num_samples"] = 1
    return tune.TuneConfig(**settings)


def _record(result: Any, epochs: int, interrupted: bool) -> TrialRecord:
    last = result.metrics or {}
    names = (*OBJECTIVES, "best_epoch", "epoch", *CURVES)
    metrics = {name: float(last[name]) for name in names if name in last}
    rows = result.metrics_dataframe
    curve = [] if rows is None else _one_row_per_epoch(rows)
    error = None if result.error is None else failure_reason(result.error)
    ended_early = error is None and metrics.get("epoch", 0) < epochs
    unfinished = ended_early and interrupted and not last.get("done")
    pruned = ended_early and not unfinished
    return TrialRecord(dict(result.config), metrics, curve, error, pruned, unfinished)


def _one_row_per_epoch(rows: Any) -> list[dict[str, Any]]:
    """Return the reported rows without those of epochs that a resumed trial repeated."""
    by_epoch = {row["epoch"]: row for row in rows.to_dict("records")}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def failure_reason(error: Exception) -> str:
    """Return in one line why a trial failed.

    Args:
        error: the error that Ray Tune caught; for an exception in the trial, its traceback.
    """
    if isinstance(error, RayActorError):
        return "its process died again and again, as it does when memory runs out"
    reason = str(error).strip().splitlines()[-1]
    return reason.removeprefix(f"{FailedBeforeError.__module__}.{FailedBeforeError.__name__}: ")
