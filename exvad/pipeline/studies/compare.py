"""Compare: every system with several seeds on one data set; the paper's Tables 1 to 3 and 7.

`exvad compare --preset ucf_crime --systems all --seeds 5` reads the features and labels of a run
and writes RUN/comparison/. Every training is a task on Ray. Results that are there already are
kept, so a stopped comparison continues, and a finished one only writes its tables again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import ray
import torch

from exvad.baselines import SYSTEMS, Baseline
from exvad.baselines.ex_vad import ExVADSystem
from exvad.checkpoints.saved_system import SavedSystem, Way
from exvad.checkpoints.tracking import prepare_tracking, require_tracking
from exvad.config import override_config
from exvad.data.dataset import read_run_manifest
from exvad.evaluation.bootstrap import check_resamples
from exvad.evaluation.comparison_tables import Row
from exvad.evaluation.efficiency import measure_efficiency
from exvad.evaluation.system_trial import EX_VAD, TrialPlan, run_trial
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
from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.places import Place

ALL = "all"


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison.

    Args:
        systems: `all`, or names with commas between, each with `:WAY` for another class map.
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
    """A training of the comparison.

    Args:
        plan: the system.
        config: the configuration with the seed.
        result: place of its record.
        checkpoint: place of its checkpoint; empty for all but the first seed.
    """

    plan: TrialPlan
    config: Config
    result: Place
    checkpoint: str

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
    plans = read_plans(options.systems)
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
        measured = all("error" in record for record in records)
        cost = None if measured else _efficiency(config, plan, labels, options.snippets)
        rows.append(Row(plan.title, plan.way, records, cost))
    width = labels.vectors.name_CD.shape[1]
    publish(config, options.protocol, rows, f"T = {options.snippets}, D = {width}, one CPU core",
            changed=bool(missing))  # fmt: skip
    return 0 if any(row.done for row in rows) else 1


def read_plans(systems: str) -> list[TrialPlan]:
    """Return the systems that an option names, each with its way to a class map.

    Args:
        systems: `all`, or `NAME` or `NAME:WAY` with commas between.

    Raises:
        ValueError: there is no such system or way.
    """
    plans = []
    for item in list(SYSTEMS) if systems == ALL else systems.split(","):
        name, _, way = item.strip().partition(":")
        if name not in SYSTEMS:
            raise ValueError(
                f"--systems {item}: there is no system {name!r}; known are {', '.join(SYSTEMS)}"
            )
        ways = (*SYSTEMS[name].ways, "coarse")
        if way and way not in ways:
            raise ValueError(f"--systems {item}: the ways of {name} are {', '.join(ways)}")
        plans.append(TrialPlan(name, next(w for w in get_args(Way) if w == (way or ways[0]))))
    return list(dict.fromkeys(plans))


def plan_trials(config: Config, plans: Sequence[TrialPlan], options: CompareOptions) -> list[Trial]:
    """Return the trainings of a comparison, one per system and seed.

    Args:
        config: the configuration of the run.
        plans: the systems.
        options: seeds and resamples.
    """
    data, budget = read_run_manifest(config).fingerprint(), config.compare.model_dump_json()
    trials = []
    for plan in plans:
        for number in range(options.seeds):
            seed = config.train.seed + number
            seeded = override_config(config, {"train.seed": seed})
            key = f"{plan.name}:{plan.way} {budget} {options.resamples}"
            checkpoint = config.in_run(FOLDER, f"{plan.name}-{plan.way}") if not number else ""
            result = result_place(plan.settings(seeded), data, FOLDER, key)
            trials.append(Trial(plan, seeded, result, str(checkpoint)))
    return trials


def _run_trials(config: Config, labels: RunLabels, trials: Sequence[Trial], resamples: int) -> None:
    """Run trials side by side on Ray; several share a GPU by `tune.gpus`."""
    manifest, store = read_run_manifest(config), config.store_path
    demand = Demand("trial", "tune.cpus, tune.gpus", config.tune.cpus, config.trial_gpus)
    with shared_places({"run": config.run}, {"store": store}) as marks, ray_session():
        check_placement("the comparison", [demand])
        check_shared(marks)
        task = ray.remote(max_retries=RETRIES, num_cpus=demand.cpus, num_gpus=demand.gpus)(
            run_trial
        )
        shared = [ray.put(value) for value in (manifest, Store(store, marks), labels)]
        write_results(
            "comparing",
            {
                trial.result: task.remote(
                    trial.plan, trial.config, *shared, resamples, trial.checkpoint
                )
                for trial in trials
            },
        )


def _efficiency(
    config: Config, plan: TrialPlan, labels: RunLabels, snippets: int
) -> Mapping[str, Any]:
    """Return the cost of a system, measured now or before."""
    label_CD: np.ndarray[Any, Any] = labels.embeddings(config)
    width = label_CD.shape[1]
    text = plan.settings(config).model.text
    key = f"efficiency {plan.name} {snippets} {width}"
    place = result_place(plan.settings(config), "", FOLDER, key)
    if not place.exists():
        saved = SavedSystem(name=plan.name, way=plan.way, text_width=0 if text == "none" else width)
        system = saved.build_native(config, torch.from_numpy(label_CD), labels.phrases.classes)
        shapes = {"none": (), "explanation": (width,)}
        cost = measure_efficiency(system, width, shapes.get(text, (0, width)), snippets)
        place.write_json(cost.to_dict())
    return read_result(place)


def _untrained(
    plan: TrialPlan, config: Config, label_CD: torch.Tensor, classes: Sequence[str]
) -> Baseline:
    config = plan.settings(config)
    num_classes, width = label_CD.shape
    if plan.name == EX_VAD:
        return ExVADSystem(build_network(config, width, num_classes), label_CD)
    text_width = 0 if config.model.text == "none" else width
    saved = SavedSystem(name=plan.name, way=plan.way, text_width=text_width)
    return saved.build_native(config, label_CD, classes)
