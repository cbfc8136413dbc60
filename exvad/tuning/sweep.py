"""The sweep: search the settings of training, confirm the best ones and register the winner.

`exvad sweep --preset demo --trials 20 --confirm 3` reads the features and labels of a run, which
`exvad preprocess` and `exvad labels` wrote. `--resume` continues a sweep that was stopped.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from exvad.checkpoints.tracking import prepare_tracking, require_tracking
from exvad.data.storage.claims import claimed
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.placement import Demand, check_placement
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_session
from exvad.pipeline.shared_places import check_shared, shared_places
from exvad.pipeline.studies.results import read_result
from exvad.pipeline.termination import EXIT_INTERRUPTED
from exvad.store.run_data import RunData
from exvad.tuning.confirm import confirm
from exvad.tuning.context import PLAN, SweepContext, SweepOptions
from exvad.tuning.outcome import SweepOutcome, compare_with_start, describe_best
from exvad.tuning.publish import publish
from exvad.tuning.records import best_first, unshared_place
from exvad.tuning.search import SearchPlan, search, sweep_folder
from exvad.tuning.space import extreme_values, read_space
from exvad.tuning.trial import import_ahead, run_trial

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.marks import Marks
    from exvad.data.storage.places import Place
    from exvad.tuning.space import Dimension

MAX_CONFIRMED = 3


def sweep(config: Config, options: SweepOptions) -> int:
    """Search the settings of training, confirm the best ones and register the winner.

    Args:
        config: the configuration that the trials override.
        options: the options of the sweep.

    Returns:
        The exit code: 0, 1 if no trial succeeded, 130 if the sweep was interrupted.

    Raises:
        ValueError: an option or the space does not fit, features or labels are missing, or a node
            does not see the run.
    """
    if options.trials < 1 or options.confirm_seeds < 1:
        raise ValueError("--trials and --confirm need at least 1")
    require_tracking(config)
    folder = sweep_folder(config, options.resume)
    space = read_space(options.space, config)
    if options.resume:
        _check_same_plan(folder, config, options)
    data, labels = load_data(config, space)
    settings = "tune.cpus, tune.gpus, train.gpu"
    trial = Demand("trial", settings, config.tune.cpus, config.trial_gpus)
    context: SweepContext | None = None
    try:
        with shared_places({"run": config.run}) as marks, ray_session():
            check_placement("the sweep", [trial])
            check_shared(marks)
            import_ahead(config, options.trials)
            prepare_tracking(config)  # takes seconds for a new database
            if not options.resume:
                folder = _begin(config, options)
            context = SweepContext(config, options, folder, space, data, labels)
            with claimed(folder, "exvad sweep"):
                outcome = _search_and_confirm(context, marks)
        publish(context, outcome)
    except KeyboardInterrupt:
        if context is None:
            raise  # there is nothing to resume
        return _stopped(options)
    if outcome.interrupted:
        return _stopped(options)
    return 0 if outcome.confirmed else 1


def _begin(config: Config, options: SweepOptions) -> Place:
    """Write the plan of a new sweep; return its folder, which no other sweep has."""
    plan = json.dumps(_plan(config, options)).encode()
    while True:
        folder = sweep_folder(config, resume=False)
        if (folder / PLAN).create_bytes(plan):
            return folder


def _stopped(options: SweepOptions) -> int:
    """Print how a sweep is resumed; return the exit code."""
    arguments = [argument for argument in options.command if argument != "--resume"]
    resume = shlex.join(["exvad", "sweep", "--resume", *arguments])
    console.print(f"stopped; resume with: {resume}", soft_wrap=True, highlight=False)
    return EXIT_INTERRUPTED


def load_data(config: Config, space: Mapping[str, Dimension]) -> tuple[RunData, RunLabels]:
    """Load the features, manifest and labels of a run.

    Args:
        config: the configuration of the run.
        space: the search space, which must not draw a setting that the features depend on.

    Raises:
        ValueError: features or labels are missing, the space draws a setting that the features
            depend on, or the space or the configuration uses more phrases than a class has.
    """
    fixed = [key for key in space if not key.startswith(("train.", "model.", "labels.k"))]
    if fixed or "model.text" in space:
        raise ValueError(
            f"{', '.join(fixed) or 'model.text'}: a sweep draws train.*, model.* and labels.k; "
            "the features depend on all other settings and are the same in every trial"
        )
    data = RunData.load(config, ("train", "val"))
    labels = RunLabels.load(config, data.manifest.classes)
    available = labels.vectors.min_phrases
    if "labels.k" in space and (largest := max(extreme_values(space["labels.k"]))) > available:
        raise ValueError(
            f"labels.k is drawn up to {largest}, but a class has only {available} phrases: "
            "lower it in the space, or raise labels.phrases and write the labels again"
        )
    # The winner is compared with the configuration as it is, so that must fit the labels too.
    labels.embeddings(config)
    return data, labels


def _search_and_confirm(sweep: SweepContext, marks: Marks) -> SweepOutcome:
    options, data = sweep.options, sweep.data
    shared = {"bank": data.bank, "manifest": data.manifest, "labels": sweep.labels}
    trainable = tune.with_parameters(run_trial, config=sweep.config, marks=marks, **shared)
    plan = SearchPlan(options.trials, options.search, options.early_stop)
    result = search(trainable, sweep.space, sweep.config, sweep.folder, plan, options.resume)
    records, best = result.records, best_first(result.records)
    if (problem := unshared_place(records)) is not None:
        raise problem
    if result.interrupted:
        ended = sum(not record.unfinished for record in records)
        note = describe_best(best, f"{ended} of {result.planned} trials")
        return SweepOutcome(records, [], note, interrupted=True)
    if not best:
        return SweepOutcome(records, [], "Every trial failed.")
    settings = [record.parameters for record in best[:MAX_CONFIRMED]]
    console.print(f"confirming the best {len(settings)} with {options.confirm_seeds} seeds")
    references = {name: ray.put(value) for name, value in shared.items()}
    try:
        # The empty setting is the configuration as it is: the start that the winner must beat.
        trained = confirm([*settings, {}], options.confirm_seeds, sweep.config, references)
    except KeyboardInterrupt:
        note = describe_best(best, "all trials, before confirmation")
        return SweepOutcome(records, [], note, interrupted=True)
    start = next(setting for setting in trained if not setting.parameters)
    confirmed = [setting for setting in trained if setting.parameters]
    return SweepOutcome(records, confirmed, compare_with_start(confirmed[0], start))


def _plan(config: Config, options: SweepOptions) -> dict[str, Any]:
    return {
        "configuration": config.model_dump(mode="json", by_alias=True),
        "trials": options.trials,
        "search": options.search,
        "space": options.space.read_text("utf-8"),
    }


def _check_same_plan(folder: Place, config: Config, options: SweepOptions) -> None:
    """Check that a sweep is resumed with the configuration and options that it started with.

    Raises:
        ValueError: they differ; the message names what differs.
    """
    path = folder / PLAN
    if not path.exists():
        raise ValueError(f"{folder} holds no sweep that can be resumed: start a new one")
    before, now = read_result(path), _plan(config, options)
    different = [name for name in now if before.get(name) != now[name]]
    if different:
        raise ValueError(
            f"{folder} was started with another {', '.join(different)}: give the same to --resume"
        )
