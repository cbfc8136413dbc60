"""The search: Ray Tune with Optuna's samplers, ASHA, and going on after an interruption."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from exvad.config import Config
    from exvad.tuning.progress import Follower
    from exvad.tuning.space import Dimension

Method = Literal["tpe", "nsga2", "random", "grid"]
METHODS: tuple[Method, ...] = ("tpe", "nsga2", "random", "grid")
OBJECTIVES = ("best_val_auc", "best_val_map")
GRACE, REDUCTION = 8, 3  # of a training, no trial is stopped in the first 1/8; then 1/3 goes on
CURVES = ("total", "val_auc", "val_map", "val_accuracy", "val_loss")


@dataclass(frozen=True)
class Record:
    """What is known of a trial.

    Args:
        parameters: the draw.
        figures: of the last epoch: best_val_auc, best_val_map, best_epoch, epoch.
        curve: the figures of every epoch.
        error: why it failed, if it did.
        pruned: whether it was stopped early as not promising.
        unfinished: whether the sweep was interrupted before it ended.
    """

    parameters: dict[str, Any]
    figures: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    error: str | None = None
    pruned: bool = False
    unfinished: bool = False

    @property
    def score(self) -> float:
        """What trials are ranked by: the mean of video-level AUC and mAP on validation."""
        return sum(self.figures.get(name, 0.0) for name in OBJECTIVES) / len(OBJECTIVES)


def sweep_folder(config: Config, resume: bool) -> Path:
    """Return the folder of a new sweep, or of the newest one to go on with.

    Raises:
        ValueError: there is no sweep to go on with.
    """
    known = sorted(
        (int(found[1]), path)
        for path in config.run_path.glob("sweep*")
        if (found := re.fullmatch(r"sweep(\d+)", path.name))
    )
    if not resume:
        return config.run_path / f"sweep{known[-1][0] + 1 if known else 1}"
    if not known:
        raise ValueError(f"there is no sweep below {config.run_path} to go on with")
    return known[-1][1]


@dataclass(frozen=True)
class SearchPlan:
    """How to search.

    Args:
        trials: how many draws; grid tries all of its combinations.
        method: who draws.
        early_stop: stop trials early that are not promising (ASHA); nsga2 never does.
    """

    trials: int
    method: Method = "tpe"
    early_stop: bool = True


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Args:
        records: the trials that began.
        planned: how many trials there were to be.
        interrupted: whether Ctrl-C ended it.
    """

    records: list[Record]
    planned: int
    interrupted: bool


def search(
    trainable: Callable[..., None],
    space: dict[str, Dimension],
    config: Config,
    folder: Path,
    plan: SearchPlan,
    resume: bool = False,
) -> Searched:
    """Run the search, or what is left of it; Ctrl-C ends it with what is known so far.

    Args:
        trainable: a function trainable.
        space: what is drawn.
        config: its training settings say how many epochs and which resources.
        folder: where Ray Tune keeps the sweep.
        plan: how to search.
        resume: go on with the sweep in the folder; what has ended is not run again.
    """
    from ray import tune

    from exvad.tuning.progress import Follower
    from exvad.tuning.space import grid_space

    cpus, gpus = config.tune.cpus, config.tune.gpus if config.train.gpu else 0
    function = tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus})
    planned = plan.trials
    if plan.method == "grid":
        planned = math.prod(len(own["grid_search"]) for own in grid_space(space).values())
    # What Ray Tune has to say of failed and interrupted trials, the sweep says itself.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if resume:
        tuner = tune.Tuner.restore(
            str(folder), trainable=function, resume_unfinished=True, restart_errored=False
        )
    else:
        follower = Follower(planned, config.train.epochs)
        tuner = _tuner(function, space, config, folder, plan, follower)
    with _graceful_interrupt() as interrupted:
        results = tuner.fit()
    records = [
        _record(result, config.train.epochs, interrupted.is_set())
        for result in results
        if result.config is not None
    ]
    return Searched(records, planned, interrupted.is_set())


@contextmanager
def _graceful_interrupt() -> Iterator[threading.Event]:
    """Let the first Ctrl-C end Ray Tune with its state saved, and tell that it did.

    Ray Tune does not say afterwards whether it was interrupted; so it is told by its other signal.
    """
    interrupted = threading.Event()

    def pass_on(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)
        signal.raise_signal(signal.SIGUSR1)

    # Left in place afterwards: this process has no other use for Ray Tune's own handler.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _tuner(
    function: Any,
    space: dict[str, Dimension],
    config: Config,
    folder: Path,
    plan: SearchPlan,
    follower: Follower,
) -> Any:
    import optuna
    from ray import tune
    from ray.tune.logger import JsonLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.basic_variant import BasicVariantGenerator
    from ray.tune.search.optuna import OptunaSearch

    from exvad.tuning.space import grid_space, tune_space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed, trials, method = config.train.seed, plan.trials, plan.method
    # Starting a process costs more than a small training: trials follow each other in one.
    settings: dict[str, Any] = {"num_samples": trials, "reuse_actors": True}
    if method == "nsga2":
        sampler = optuna.samplers.NSGAIISampler(population_size=max(4, trials // 4), seed=seed)
        goals = {"metric": list(OBJECTIVES), "mode": ["max"] * len(OBJECTIVES)}
        settings["search_alg"] = OptunaSearch(sampler=sampler, **goals)
    else:
        settings |= {"metric": "score", "mode": "max"}
        if plan.early_stop:
            # A trial that is stopped early tells only how it began: enough to sort out the rest.
            settings["scheduler"] = ASHAScheduler(
                max_t=config.train.epochs,
                grace_period=max(1, config.train.epochs // GRACE),
                reduction_factor=REDUCTION,
            )
        if method == "tpe":
            settings["search_alg"] = OptunaSearch(
                sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(5, trials // 4))
            )
        if method == "random":
            settings["search_alg"] = BasicVariantGenerator(random_state=seed)
    if method == "grid":
        settings["num_samples"] = 1
    return tune.Tuner(
        function,
        param_space=grid_space(space) if method == "grid" else tune_space(space),
        tune_config=tune.TuneConfig(**settings),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent.resolve()),
            verbose=0,
            callbacks=[JsonLoggerCallback(), follower],
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )


def _record(result: Any, epochs: int, interrupted: bool) -> Record:
    metrics = result.metrics or {}
    kept = (*OBJECTIVES, "best_epoch", "epoch", *CURVES)
    figures = {name: float(metrics[name]) for name in kept if name in metrics}
    rows = result.metrics_dataframe
    curve = [] if rows is None else rows.to_dict("records")
    error = None if result.error is None else reason(result.error)
    short = error is None and figures.get("epoch", 0) < epochs
    unfinished = short and interrupted and not metrics.get("done")
    pruned = short and not unfinished
    return Record(dict(result.config), figures, curve, error, pruned, unfinished)


def reason(error: Exception) -> str:
    """Say in one line why a trial failed.

    Args:
        error: what Ray Tune caught; of an exception in the trial, the trace with its last line.
    """
    from ray.exceptions import RayActorError

    if isinstance(error, RayActorError):
        return "its process died, as when memory runs out"
    return str(error).strip().splitlines()[-1]


def best_first(records: Sequence[Record]) -> list[Record]:
    """Return the trials that ended well, the best first."""
    usable = [
        record
        for record in records
        if record.error is None and record.figures and not record.unfinished
    ]
    return sorted(usable, key=lambda record: -record.score)


def pareto_front(records: Sequence[Record]) -> list[Record]:
    """Return the trials that no other beats in AUC without losing in mAP."""

    def values(record: Record) -> tuple[float, ...]:
        return tuple(record.figures[name] for name in OBJECTIVES)

    usable = best_first(records)
    return [
        record
        for record in usable
        if not any(
            all(a >= b for a, b in zip(values(other), values(record), strict=True))
            and values(other) != values(record)
            for other in usable
        )
    ]
