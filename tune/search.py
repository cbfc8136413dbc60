"""The search: Ray Tune with Optuna's samplers, ASHA, and going on after an interruption."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from exvad.config import Config
    from tune.space import Dimension

Method = Literal["tpe", "nsga2", "random", "grid"]
METHODS: tuple[Method, ...] = ("tpe", "nsga2", "random", "grid")
OBJECTIVES = ("best_val_auc", "best_val_map")
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
    """

    parameters: dict[str, Any]
    figures: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    error: str | None = None
    pruned: bool = False

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


def search(
    trainable: Callable[..., None],
    space: dict[str, Dimension],
    config: Config,
    folder: Path,
    trials: int,
    method: Method,
    resume: bool,
) -> list[Record]:
    """Run the search, or what is left of it, and return a record per trial.

    Args:
        trainable: a function trainable.
        space: what is drawn.
        config: its training settings say how many epochs and which resources.
        folder: where Ray Tune keeps the sweep.
        trials: how many draws; grid tries all of its combinations.
        method: who draws.
        resume: go on with the sweep in the folder; what has ended is not run again.
    """
    from ray import tune

    cpus, gpus = config.tune.cpus, config.tune.gpus if config.train.gpu else 0
    function = tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus})
    if resume:
        tuner = tune.Tuner.restore(
            str(folder), trainable=function, resume_unfinished=True, restart_errored=False
        )
    else:
        tuner = _tuner(function, space, config, folder, trials, method)
    return [_record(result, config.train.epochs) for result in tuner.fit()]


def _tuner(
    function: Any,
    space: dict[str, Dimension],
    config: Config,
    folder: Path,
    trials: int,
    method: Method,
) -> Any:
    import optuna
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    from tune.space import grid_space, tune_space

    seed = config.train.seed
    # Starting a process costs more than a small training: trials follow each other in one.
    settings: dict[str, Any] = {"num_samples": trials, "reuse_actors": True}
    if method == "nsga2":
        sampler = optuna.samplers.NSGAIISampler(population_size=max(4, trials // 4), seed=seed)
        goals = {"metric": list(OBJECTIVES), "mode": ["max"] * len(OBJECTIVES)}
        settings["search_alg"] = OptunaSearch(sampler=sampler, **goals)
    else:
        settings |= {"metric": "val_map", "mode": "max"}
        # A trial that is stopped early tells only how it began: good enough to sort out the rest.
        settings["scheduler"] = ASHAScheduler(
            max_t=config.train.epochs, grace_period=max(1, config.train.epochs // 4)
        )
        if method == "tpe":
            settings["search_alg"] = OptunaSearch(
                sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(5, trials // 4))
            )
    if method == "grid":
        settings["num_samples"] = 1
    return tune.Tuner(
        function,
        param_space=grid_space(space) if method == "grid" else tune_space(space),
        tune_config=tune.TuneConfig(**settings),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent.resolve()),
            verbose=1,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )


def _record(result: Any, epochs: int) -> Record:
    metrics = result.metrics or {}
    kept = (*OBJECTIVES, "best_epoch", "epoch", *CURVES)
    figures = {name: float(metrics[name]) for name in kept if name in metrics}
    rows = result.metrics_dataframe
    curve = [] if rows is None else rows.to_dict("records")
    error = None if result.error is None else str(result.error).strip().splitlines()[-1]
    ended_early = error is None and figures.get("epoch", epochs) < epochs
    return Record(dict(result.config or {}), figures, curve, error, ended_early)


def best_first(records: Sequence[Record]) -> list[Record]:
    """Return the trials that ended well, the best first."""
    usable = [record for record in records if record.error is None and record.figures]
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
