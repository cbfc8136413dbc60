"""One trial of a comparison: a system trained with one seed and measured on the test set.

Every trial uses the same features, split and code; what differs is the system and the seed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from exvad.baselines import SYSTEMS, Baseline
from exvad.baselines.catalogue import check_options, title_of
from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.checkpoints.saved_system import SavedSystem
from exvad.data.storage.errors import StorageError
from exvad.data.storage.marks import UnsharedPlaceError
from exvad.evaluation.evaluation import evaluate
from exvad.evaluation.experiment import summary_metrics
from exvad.inference.calibration import Calibration
from exvad.inference.domain import fit_domain
from exvad.laam.run_labels import IMPORTED_ORIGIN
from exvad.store.run_data import RunData
from exvad.training.data import TrainingData, training_data
from exvad.training.fitting import best_network, train_network
from exvad.training.replica import Replica
from exvad.training.snippet_sample import bank_snippets
from exvad.training.system_fitting import Budget, SystemFitter

if TYPE_CHECKING:
    from exvad.checkpoints.saved_system import Way
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.records import Split
    from exvad.laam.run_labels import RunLabels
    from exvad.store.store import Store

EX_VAD = "ex_vad"
WHOLE = {"max_snippets": 10**9}  # no video is that long


@dataclass(frozen=True)
class TrialPlan:
    """What a trial trains.

    Args:
        name: key of the catalogue.
        way: way to the class map.
        options: option → value, in place of what was published and of `compare.options`.
    """

    name: str
    way: Way
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name in tables, with the options."""
        return title_of(self.name, self.options)

    @property
    def key(self) -> str:
        """Name, way and options as text, for the names of results."""
        options = json.dumps(self.options, sort_keys=True) if self.options else ""
        return f"{self.name}:{self.way}{options}"

    @property
    def folder(self) -> str:
        """The name of the folder of its checkpoint."""
        options = (f"{name}={value}" for name, value in self.options.items())
        return re.sub(r"[^\w=.-]+", "_", "-".join([self.name, self.way, *options]))

    def configured(self, config: Config) -> TrialPlan:
        """Return the plan with the options of the configuration, which its own ones override.

        Args:
            config: the configuration of the run.

        Raises:
            ValueError: see `check_options`.
        """
        given = {**config.compare.options.get(self.name, {}), **self.options}
        return TrialPlan(self.name, self.way, check_options(self.name, given))

    def settings(self, config: Config) -> Config:
        """Return the configuration of a run with the text features that the system takes."""
        use = SYSTEMS[self.name].text
        if use == "configured":
            use = self.options.get("text", config.model.text)
        return config.model_copy(update={"model": config.model.model_copy(update={"text": use})})


def run_trial(
    plan: TrialPlan,
    config: Config,
    manifest: Manifest,
    store: Store,
    labels: RunLabels,
    resamples: int,
    checkpoint_folder: str = "",
) -> dict[str, Any]:
    """Train a system, measure it on the test videos, and save its checkpoint if wanted.

    Ex-VAD is trained as `exvad train` does it in one process, by `train.*`. Other systems are
    trained by their own recipes within `compare.*`.

    Args:
        plan: the system.
        config: the configuration of the run; `train.seed` is the seed.
        manifest: the data set.
        store: the store with its features.
        labels: its classes and phrases with their vectors.
        resamples: number of bootstrap resamples; 0 for no intervals.
        checkpoint_folder: place of the checkpoint; empty for none.

    Returns:
        The record: the plan, `metrics` (see `summary_metrics`), `intervals`, `per_class`,
        `selection` (the selection metrics of the chosen step), `chosen` (options that were chosen
        with it), `videos` (how many of the splits were used), `missing` (split → videos of it that
        lack features), `native` (the highest frame AUC and AP of any step, with `compare.native`),
        `steps`, `training_seconds`, `crops` (what it was trained and tested on, in words)
        and `inputs` (`visual_width` of a crop, and `text_shape`, see `measure_efficiency`); or the
        plan with `error`, a sentence why the system can't be trained on this data set.

    Raises:
        StorageError, UnsharedPlaceError: the store can't be read here, or for now.
        ValueError: the data set can't be trained on at all.
    """
    plan = plan.configured(config)
    record: dict[str, Any] = {
        "system": plan.name,
        "way": plan.way,
        "options": dict(plan.options),
        "seed": config.train.seed,
    }
    config = plan.settings(config)
    stacked = config.data.crops if SYSTEMS[plan.name].crops else 1
    label_CD = torch.from_numpy(labels.embeddings(config))
    try:
        data = RunData.read(manifest, store, config, stacked=stacked)
        # Systems shorten videos by rules of their own.
        model = config.model if plan.name == EX_VAD else config.model.model_copy(update=WHOLE)
        whole = config.model_copy(update={"model": model})
        examples = training_data(data.bank, manifest, whole)
        began = time.perf_counter()
        checkpoint, training = _train(plan, config, examples, label_CD, labels, data)
    except (StorageError, UnsharedPlaceError):
        raise  # the system is not to blame: it is not measured, and can be
    except ValueError as error:
        return {**record, "error": str(error)}
    seconds = time.perf_counter() - began
    evaluation = evaluate(checkpoint, data.bank, manifest, resamples)
    if checkpoint_folder:
        trained_on = [video.video_id for video in manifest.of_split("train")]
        domain = fit_domain(bank_snippets(data.bank, trained_on))
        save_checkpoint(checkpoint_folder, replace(checkpoint, domain=domain))
    metrics = evaluation.metrics
    return {
        **record,
        "text": config.model.text,
        "metrics": summary_metrics(metrics),
        "random": metrics["random"],
        "intervals": metrics.get("intervals", {}),
        "per_class": metrics["frames_per_class"],
        "videos": {"train": len(examples.train), "test": metrics["videos"]},
        "missing": missing_videos(data, ("train", "test")),
        "training_seconds": seconds,
        "crops": f"{stacked} crops side by side" if stacked > 1 else f"crop {_crop(config)}",
        "inputs": {
            "visual_width": data.bank.width // stacked,
            "text_shape": _text_shape(examples),
        },
        **training,
    }


def missing_videos(data: RunData, splits: Sequence[Split]) -> dict[str, list[str]]:
    """Return the videos of some splits that lack features: split → videos."""
    return {
        split: [v.video_id for v in data.manifest.of_split(split) if v.video_id in data.missing]
        for split in splits
    }


def saved_system(
    plan: TrialPlan, config: Config, visual_width: int, text_shape: Sequence[int]
) -> SavedSystem:
    """Return the system of a plan on the features of a run.

    Args:
        plan: the system, not Ex-VAD's own network.
        config: the configuration of the run.
        visual_width: width of the image features of a crop.
        text_shape: that of the text features; see `measure_efficiency`.
    """
    return SavedSystem(
        name=plan.name,
        way=plan.way,
        text_width=text_shape[-1] if text_shape else 0,
        visual_width=visual_width,
        crops=config.data.crops if SYSTEMS[plan.name].crops else 1,
        kind=config.data.kind,
        options=dict(plan.options),
    )


def _crop(config: Config) -> str:
    data = config.data
    return f"{data.test_crop} of {data.crops}" if data.crops > 1 else str(data.test_crop)


def _text_shape(examples: TrainingData) -> list[int]:
    text = examples.train[0].text
    if text is None:
        return []
    # One feature of a video, or one of every snippet; videos have different lengths.
    return [text.shape[-1]] if text.ndim == 1 else [0, text.shape[-1]]


def _train(
    plan: TrialPlan,
    config: Config,
    examples: TrainingData,
    label_CD: torch.Tensor,
    labels: RunLabels,
    data: RunData,
) -> tuple[Checkpoint, dict[str, Any]]:
    replica = Replica.alone(config.train)
    provenance = {"seed": config.train.seed, "selected_on": config.train.select_on}
    unsaved = {"version": "", "weights": ""}
    if plan.name == EX_VAD:
        state = train_network(config, label_CD, examples, replica=replica)
        network = best_network(config, label_CD, state).to(replica.device)
        checkpoint = Checkpoint(
            network,
            label_CD,
            labels.phrases,
            config,
            state.calibration,
            {"best": state.best_metrics, "history": state.history},
            {**provenance, **unsaved},
        )
        return checkpoint, {
            "selection": state.best_metrics,
            "chosen": {},
            "steps": None,
            "native": {},
        }
    if SYSTEMS[plan.name].clip_text and labels.phrases.origin == IMPORTED_ORIGIN:
        raise ValueError(
            f"{plan.title} learns tokens in the text encoder of the CLIP that made the features, "
            "but features and labels were imported: compare vadclip_labels"
        )
    width = data.bank.width // (config.data.crops if SYSTEMS[plan.name].crops else 1)
    saved = saved_system(plan, config, width, _text_shape(examples))
    coarse = saved.model_copy(update={"way": "coarse"})

    def measure_frames(system: Baseline) -> dict[str, float | None]:
        now = Checkpoint(
            system, label_CD, labels.phrases, config, Calibration(), {}, unsaved, coarse
        )
        metrics = evaluate(now, data.bank, data.manifest).metrics
        return {name: metrics[name] for name in ("frame_auc", "frame_ap")}

    limits = config.compare.model_dump(exclude={"native", "margins", "options"})
    fitter = SystemFitter(
        examples.train,
        examples.select,
        Budget(**limits),
        config.train.seed,
        replica.device,
        measure_frames if config.compare.native else None,
    )
    classes = labels.phrases.classes

    def build(system: SavedSystem) -> Callable[[], Baseline]:
        return lambda: system.build_native(config, label_CD, classes)

    def with_map(system: Baseline) -> Baseline:
        return saved.with_map(system, label_CD)

    saved, variants = _variants(saved, config)
    builds = {name: build(variant) for name, variant in variants.items()}
    fitted = fitter.fit(build(saved), with_map, saved.coarse, plan.way == "F2", builds)
    saved = variants.get(fitted.variant, saved)
    checkpoint = Checkpoint(
        fitted.system,
        label_CD,
        labels.phrases,
        config,
        fitted.calibration,
        {"best": fitted.metrics, "history": []},
        {**provenance, **unsaved},
        saved,
    )
    return checkpoint, {
        "selection": fitted.metrics,
        "chosen": {
            name: value for name, value in saved.options.items() if name not in plan.options
        },
        "steps": fitted.steps,
        "native": fitted.highest,
    }


def _variants(saved: SavedSystem, config: Config) -> tuple[SavedSystem, dict[str, SavedSystem]]:
    """Return the system that is trained first, and the variants to try: name → system."""
    sweep = SYSTEMS[saved.name].sweep
    values = config.compare.margins
    if sweep is None or sweep.option in saved.options or not values:
        return saved, {}
    first, *others = sorted(set(values), key=lambda value: (value != sweep.published, value))

    def changed(value: float) -> SavedSystem:
        return saved.model_copy(update={"options": {**saved.options, sweep.option: value}})

    return changed(first), {f"{value:g}": changed(value) for value in others}
