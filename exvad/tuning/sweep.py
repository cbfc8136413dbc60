"""The sweep: search the settings of training, confirm the best ones and register the winner.

`exvad sweep --preset demo --trials 20 --confirm 3` reads the features and labels of a run, which
`exvad preprocess` and `exvad labels` wrote. `--resume` continues a sweep that was stopped, and with
`--resume-or-start` the same command does both.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from exvad.checkpoints.tracking import prepare_tracking, require_tracking
from exvad.config.counts import count_of
from exvad.data.storage.claims import claimed
from exvad.inference.domain import fit_domain
from exvad.pipeline.placement import Demand, check_placement
from exvad.pipeline.progress.names import missing_lines
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_session
from exvad.pipeline.shared_places import check_shared, shared_places
from exvad.pipeline.termination import EXIT_INTERRUPTED
from exvad.training.snippet_sample import bank_snippets
from exvad.tuning.confirm import confirm
from exvad.tuning.context import SweepContext, SweepOptions
from exvad.tuning.folders import begin_sweep, sweep_to_resume
from exvad.tuning.inputs import LoadingBank, SweepInputs, on_nodes_of_trials
from exvad.tuning.outcome import SweepOutcome, compare_with_start, describe_best
from exvad.tuning.publish import publish
from exvad.tuning.records import best_first, unshared_place
from exvad.tuning.search import SearchPlan, search
from exvad.tuning.space import read_space
from exvad.tuning.trial import import_ahead, run_trial

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.marks import Marks
    from exvad.inference.domain import Domain
    from exvad.store.feature_bank import FeatureBank

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
    space = read_space(options.space, config)
    folder = sweep_to_resume(config, options)
    resumed = folder is not None
    inputs = SweepInputs.find(config, space)
    for line in missing_lines(inputs.missing, "skipped"):
        console.print(line, highlight=False, soft_wrap=True)
    settings = "tune.cpus, tune.gpus, train.gpu"
    trial = Demand("trial", settings, config.tune.cpus, config.trial_gpus)
    places = {"run": config.run}, {"store": config.store_path}
    context: SweepContext | None = None
    try:
        with shared_places(*places) as marks, ray_session():
            check_placement("the sweep", [trial])
            check_shared(marks)
            loading = LoadingBank.start(inputs, config, marks)
            import_ahead(config, options.trials)
            prepare_tracking(config)  # takes seconds for a new database
            loading.wait()
            folder = folder or begin_sweep(config, options)
            context = SweepContext(config, options, folder, space, inputs)
            with claimed(folder, "exvad sweep"):
                outcome = _search_and_confirm(context, loading.bank, marks, resumed)
        publish(context, outcome)
    except KeyboardInterrupt:
        if context is None:
            raise  # there is nothing to resume
        return _stopped(options)
    if outcome.interrupted:
        return _stopped(options)
    return 0 if outcome.confirmed else 1


def _stopped(options: SweepOptions) -> int:
    """Print how a sweep is resumed; return the exit code."""
    arguments = [argument for argument in options.command if argument != "--resume"]
    if options.resume != "unfinished":
        arguments.insert(0, "--resume")
    resume = shlex.join(["exvad", "sweep", *arguments])
    console.print(f"stopped; resume with: {resume}", soft_wrap=True, highlight=False)
    return EXIT_INTERRUPTED


def _search_and_confirm(
    sweep: SweepContext, bank: Any, marks: Marks, resumed: bool
) -> SweepOutcome:
    options, inputs = sweep.options, sweep.inputs
    # Ray Tune takes the features by their reference and does not read them here.
    shared = {"bank": bank, "manifest": inputs.manifest, "labels": inputs.labels}
    trainable = tune.with_parameters(run_trial, config=sweep.config, marks=marks, **shared)
    plan = SearchPlan(options.trials, options.search, options.early_stop)
    result = search(trainable, sweep.space, sweep.config, sweep.folder, plan, resumed)
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
    best_settings = count_of(len(settings), "setting")
    seeds = count_of(options.confirm_seeds, "seed")
    console.print(f"confirming the best {best_settings} with {seeds}")
    domain = ray.remote(num_cpus=0, **on_nodes_of_trials(sweep.config))(_fit_domain)
    try:
        # The empty setting is the configuration as it is: the start that the winner must beat.
        trained = confirm([*settings, {}], options.confirm_seeds, sweep.config, shared)
        fitted = ray.get(domain.remote(bank, inputs.train_ids))
    except KeyboardInterrupt:
        note = describe_best(best, "all trials, before confirmation")
        return SweepOutcome(records, [], note, interrupted=True)
    start = next(setting for setting in trained if not setting.parameters)
    confirmed = [setting for setting in trained if setting.parameters]
    note = compare_with_start(confirmed[0], start)
    return SweepOutcome(records, confirmed, note, domain=fitted)


def _fit_domain(bank: FeatureBank, video_ids: Sequence[str]) -> Domain | None:
    return fit_domain(bank_snippets(bank, video_ids))
