"""Compare: every system with several seeds on one data set; the paper's Tables 1 to 3 and 7.

`exvad compare --preset ucf_crime --systems all --seeds 5` reads the features and labels of a run
and writes RUN/comparison/. Every training is a task on Ray, and so is a system without training.
Results that are there already are kept, so a stopped comparison continues, and a finished one only
writes its tables again. Results of other features, labels or videos do not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import ray
import torch
import yaml

from exvad.baselines import SYSTEMS, Baseline
from exvad.baselines.catalogue import check_options
from exvad.baselines.ex_vad import ExVADSystem
from exvad.checkpoints.saved_system import Way
from exvad.checkpoints.tracking import prepare_tracking, require_tracking
from exvad.config import override_config
from exvad.data.dataset import read_run_manifest
from exvad.evaluation.bootstrap import check_resamples
from exvad.evaluation.comparison_tables import Row
from exvad.evaluation.efficiency import measure_efficiency
from exvad.evaluation.system_trial import EX_VAD, TrialPlan, run_trial, saved_system
from exvad.evaluation.training_free_trial import (
    WAYS,
    WITHOUT_TRAINING,
    ScoredPlan,
    run_scored_trial,
)
from exvad.inference.network import build_network
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.placement import Demand, check_placement
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_session
from exvad.pipeline.shared_places import check_shared, shared_places
from exvad.pipeline.studies.ablate import result_place, write_results
from exvad.pipeline.studies.comparison_output import FOLDER, publish
from exvad.pipeline.studies.results import read_result
from exvad.pipeline.tasks import RETRIES, with_full_places
from exvad.store.grounding import text_width
from exvad.store.store import Store
from exvad.training.run_inputs import RunInputs

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.places import Place

ALL, ALL_WITHOUT_TRAINING = "all", "training_free"
AnyPlan: TypeAlias = TrialPlan | ScoredPlan
# Part of the name of every result: other code of the systems gives other results.
REVISION = 2


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison.

    Args:
        systems: `all`, or names with commas between; see `read_plans`.
        seeds: trainings per system, at least 1.
        protocol: protocol of the mAP columns, `strict` or `vadclip`.
        resamples: number of bootstrap resamples; 0 for no intervals.
        snippets: T of the measured efficiency, at least 1.
        retry: whether to try systems again that could not be trained.
    """

    systems: str = ALL
    seeds: int = 5
    protocol: str = "vadclip"
    resamples: int = 1000
    snippets: int = 256
    retry: bool = False


@dataclass(frozen=True)
class Trial:
    """A training of the comparison, or the scores of a system without training.

    Args:
        plan: the system.
        config: the configuration with the seed.
        result: place of its record.
        keeps: place of its checkpoint, empty for all but the first seed; without training, of the
            answers of the language model.
    """

    plan: AnyPlan
    config: Config
    result: Place
    keeps: str

    def is_missing(self, retry: bool) -> bool:
        """Return whether the trial must run; one that failed counts as missing with `retry`."""
        if not self.result.exists():
            return True
        return retry and "error" in read_result(self.result)


def compare(config: Config, options: CompareOptions) -> int:
    """Train and measure systems with several seeds, and write tables of all results.

    Args:
        config: the configuration of the run, which has features and labels.
        options: what to compare.

    Returns:
        The exit code: 0, or 1 if no system could be trained.

    Raises:
        ValueError: an option is wrong, or features or labels are missing.
    """
    if options.seeds < 1 or options.snippets < 1:
        raise ValueError("--seeds and --snippets need at least 1")
    check_resamples(options.resamples)
    plans = configured_plans(config, options.systems)
    require_tracking(config)
    config = with_full_places(config)
    trials = plan_trials(config, plans, options)
    missing = [trial for trial in trials if trial.is_missing(options.retry)]
    console.print(f"{len(missing)} of {len(trials)} trainings are missing")
    labels = RunLabels.load(config, read_run_manifest(config).classes)
    if missing:
        prepare_tracking(config)
        _run_trials(config, labels, missing, options.resamples)
    rows = []
    for plan in plans:
        records = [read_result(t.result) for t in trials if t.plan == plan]
        done = [record for record in records if "error" not in record]
        cost = None
        if done and isinstance(plan, TrialPlan):
            cost = _efficiency(config, plan, labels, options.snippets, done[0])
        rows.append(Row(plan.title, plan.way, records, cost))
    publish(config, options.protocol, rows, f"T = {options.snippets}", changed=bool(missing))
    return 0 if any(row.done for row in rows) else 1


def configured_plans(config: Config, systems: str) -> list[AnyPlan]:
    """Return the plans of an option, with the named options of the configuration.

    Args:
        config: `compare.options` has options of systems.
        systems: see `read_plans`.

    Raises:
        ValueError: see `read_plans`; the configuration has a system or option that does not exist.
    """
    for name, given in config.compare.options.items():
        try:
            check_options(name, given)
        except ValueError as error:
            raise ValueError(f"compare.options: {error}") from None
    plans: list[AnyPlan] = []
    for plan in read_plans(systems):
        configured = plan.configured(config)
        if configured not in plans:
            plans.append(configured)
    return plans


def read_plans(systems: str) -> list[AnyPlan]:
    """Return the systems that an option names, each with its way to a class map and options.

    Args:
        systems: names with commas between. A name may be followed by `:WAY`, and by
            `:OPTION=VALUE` for each named option: `rtfm,rtfm:F3,ur_dmu:kl_axis=code:near=columns`.
            `all` stands for all that are trained, `training_free` for the others.

    Raises:
        ValueError: there is no such system, way or option, or the value does not fit the option.
    """
    groups = {ALL: list(SYSTEMS), ALL_WITHOUT_TRAINING: list(WITHOUT_TRAINING)}
    plans: list[AnyPlan] = []
    # Commas in brackets are those of a value, such as prior=[0.06,0.02].
    for item in re.split(r",(?![^\[]*\])", systems):
        for name in groups.get(item.strip(), [item.strip()]):
            plan = _read_plan(name)
            if plan not in plans:
                plans.append(plan)
    return plans


def _read_plan(item: str) -> AnyPlan:
    name, *rest = item.split(":")
    if name not in SYSTEMS and name not in WITHOUT_TRAINING:
        known = ", ".join([*SYSTEMS, *WITHOUT_TRAINING])
        raise ValueError(f"--systems {item}: there is no system {name!r}; known are {known}")
    ways = (*SYSTEMS[name].ways, "coarse") if name in SYSTEMS else WAYS
    named = [part for part in rest if "=" not in part]
    if len(named) > 1 or any(way not in ways for way in named):
        raise ValueError(f"--systems {item}: the ways of {name} are {', '.join(ways)}")
    way = next(way for way in get_args(Way) if way == (named or ways)[0])
    pairs = [part.split("=", 1) for part in rest if "=" in part]
    if name in WITHOUT_TRAINING:
        if pairs:
            section = ScoredPlan(name, way).section
            raise ValueError(
                f"--systems {item}: {name} has no options; {section}.* are its settings"
            )
        return ScoredPlan(name, way)
    try:
        options = check_options(name, {key: _value(text) for key, text in pairs})
    except ValueError as error:
        raise ValueError(f"--systems {item}: {error}") from None
    return TrialPlan(name, way, options)


def _value(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def plan_trials(config: Config, plans: Sequence[AnyPlan], options: CompareOptions) -> list[Trial]:
    """Return the trials of a comparison: one per system and seed, and one without training.

    Args:
        config: the configuration of the run.
        plans: the systems.
        options: seeds and resamples.
    """
    inputs = RunInputs.read(config)
    budget = config.compare.model_dump_json(exclude={"options"})
    trials = []
    for plan in plans:
        if isinstance(plan, ScoredPlan):
            key = f"{REVISION} {plan.key} {plan.models(config)} {options.resamples}"
            answers = config.in_run(FOLDER, f"answers-{plan.name}-{plan.way}.jsonl")
            result = result_place(plan.settings(config), inputs.key(), FOLDER, key)
            trials.append(Trial(plan, config, result, str(answers)))
            continue
        for number in range(options.seeds):
            seed = config.train.seed + number
            seeded = override_config(config, {"train.seed": seed})
            key = f"{REVISION} {plan.key} {budget} {options.resamples}"
            checkpoint = config.in_run(FOLDER, plan.folder) if not number else ""
            settings = plan.settings(seeded)
            result = result_place(settings, inputs.key(settings.model.text), FOLDER, key)
            trials.append(Trial(plan, seeded, result, str(checkpoint)))
    return trials


def _run_trials(config: Config, labels: RunLabels, trials: Sequence[Trial], resamples: int) -> None:
    """Run trials side by side on Ray; several share a GPU by `tune.gpus`."""
    manifest, store = read_run_manifest(config), config.store_path
    demand = Demand("trial", "tune.cpus, tune.gpus", config.tune.cpus, config.trial_gpus)
    with shared_places({"run": config.run}, {"store": store}) as marks, ray_session():
        check_placement("the comparison", [demand])
        check_shared(marks)
        tasks = {
            kind: ray.remote(max_retries=RETRIES, num_cpus=demand.cpus, num_gpus=demand.gpus)(run)
            for kind, run in ((TrialPlan, run_trial), (ScoredPlan, run_scored_trial))
        }
        shared = [ray.put(value) for value in (manifest, Store(store, marks), labels)]
        write_results(
            "comparing",
            {
                trial.result: tasks[type(trial.plan)].remote(
                    trial.plan, trial.config, *shared, resamples, trial.keeps
                )
                for trial in trials
            },
        )


def _efficiency(
    config: Config, plan: TrialPlan, labels: RunLabels, snippets: int, record: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the cost of a system as it was trained, measured now or before."""
    inputs = record["inputs"]
    label_CD = torch.from_numpy(labels.embeddings(config))
    key = f"efficiency {REVISION} {plan.key} {snippets} {inputs} {tuple(label_CD.shape)}"
    place = result_place(plan.settings(config), "", FOLDER, key)
    if not place.exists():
        width, text_shape = inputs["visual_width"], inputs["text_shape"]
        system = _untrained(plan, config, label_CD, labels.phrases.classes, inputs)
        crops = config.data.crops if SYSTEMS[plan.name].crops else 1
        cost = measure_efficiency(system, width * crops, text_shape, snippets)
        size = {"image_width": width * crops, "text_width": text_shape[-1] if text_shape else 0}
        place.write_json({**cost.to_dict(), **size})
    return read_result(place)


def _untrained(
    plan: TrialPlan,
    config: Config,
    label_CD: torch.Tensor,
    classes: Sequence[str],
    inputs: Mapping[str, Any],
) -> Baseline:
    config = plan.settings(config)
    visual_width, text_shape = inputs["visual_width"], inputs["text_shape"]
    num_classes, width = label_CD.shape
    if plan.name == EX_VAD:
        text = text_shape[-1] - text_width(config.model.text, 0) if text_shape else None
        network = build_network(config, width, num_classes, visual_width, text)
        return ExVADSystem(network, label_CD)
    return saved_system(plan, config, visual_width, text_shape).build_native(
        config, label_CD, classes
    )
