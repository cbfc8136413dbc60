"""The inputs of the trials: what the driver reads, and the features, which a task reads.

The driver reads names and keys only. Features of 100,000 videos take 47 GB, more than the node has
from which a job is started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray._raylet import RAY_NODE_ID_KEY  # type: ignore[attr-defined]

from exvad.data.dataset import read_run_manifest
from exvad.data.records import Split
from exvad.data.storage.marks import UNMARKED, Marks
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.placement import waiting_reported
from exvad.pipeline.progress.terminal import progress_bar
from exvad.pipeline.tasks import RETRIES, get_result
from exvad.store.feature_bank import FeatureBank
from exvad.store.run_data import survey_complete
from exvad.store.store import Store
from exvad.training.videos import check_counts
from exvad.tuning.space import extreme_values

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.survey import Survey
    from exvad.tuning.space import Dimension

# What trials do not read, or the sweep sets itself: seeds of the confirmation, resources.
_NOT_DRAWN = (
    *("train.seed", "train.select_on", "train.gpu", "train.workers", "train.cpus_per_worker"),
    *("train.max_failures", "train.cache_gib", "train.scratch"),
)
SPLITS: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True)
class SweepInputs:
    """What the trials of a sweep have in common, without the features.

    Args:
        manifest: the data set.
        labels: its classes with their vectors.
        video_ids: the training and validation videos that have features.
        missing: those that have none, or incomplete ones: video → reason.
        survey: which rows of the store hold the features.
    """

    manifest: Manifest
    labels: RunLabels
    video_ids: Sequence[str]
    missing: Mapping[str, str]
    survey: Survey

    @property
    def train_ids(self) -> list[str]:
        """The training videos that have features."""
        train = {video.video_id for video in self.manifest.videos if video.split == "train"}
        return [video_id for video_id in self.video_ids if video_id in train]

    @classmethod
    def find(cls, config: Config, space: Mapping[str, Dimension]) -> SweepInputs:
        """Read manifest and labels of a run, and find out which videos have features.

        Args:
            config: the configuration of the run.
            space: the search space, which must not draw a setting that the features depend on, or
                one that a trial does not read.

        Raises:
            ValueError: features or labels are missing, the space draws a setting that it must not,
                or the space or the configuration uses more phrases than a class has.
        """
        fixed = [key for key in space if not key.startswith(("train.", "model.", "labels.k"))]
        if fixed or "model.text" in space:
            raise ValueError(
                f"{', '.join(fixed) or 'model.text'}: a sweep draws train.*, model.* and labels.k; "
                "the features depend on all other settings and are the same in every trial"
            )
        if ignored := [key for key in space if key in _NOT_DRAWN]:
            raise ValueError(
                f"{', '.join(ignored)}: a sweep can't draw this, because trials do not differ in "
                "it; set it for the whole sweep"
            )
        manifest = read_run_manifest(config)
        survey, video_ids, missing = survey_complete(
            manifest, Store(config.store_path), config, SPLITS
        )
        complete = set(video_ids)
        train, select = (
            sum(video.split == split and video.video_id in complete for video in manifest.videos)
            for split in ("train", config.train.select_on)
        )
        check_counts(train, select, config)
        labels = RunLabels.load(config, manifest.classes)
        available = labels.vectors.min_phrases
        if "labels.k" in space and (largest := max(extreme_values(space["labels.k"]))) > available:
            raise ValueError(
                f"labels.k is drawn up to {largest}, but a class has only {available} phrases: "
                "lower it in the space, or raise labels.phrases and write the labels again"
            )
        # The winner is compared with the configuration as it is, so that must fit the labels too.
        labels.embeddings(config)
        return cls(manifest, labels, video_ids, missing, survey)


def load_bank(inputs: SweepInputs, config: Config) -> FeatureBank:
    """Read the features of a sweep into this process.

    Args:
        inputs: names the videos.
        config: `model.text` selects the text features, `data.test_crop` the crop.

    Raises:
        CorruptPartError: a file of the store is damaged.
    """
    return _read(inputs.survey, inputs.video_ids, config)


@dataclass(frozen=True)
class LoadingBank:
    """The features, while a task reads them on a node that can run trials.

    Args:
        bank: reference to the features.
        count: number of the videos.
        done: reference to a value that is there as soon as the features are.
    """

    bank: Any
    count: int
    done: Any

    @classmethod
    def start(cls, inputs: SweepInputs, config: Config, marks: Marks = UNMARKED) -> LoadingBank:
        """Start the task.

        Args:
            inputs: the inputs of the sweep.
            config: the configuration of the sweep.
            marks: those of the store, which the task reads.
        """
        # Once there is a node for a trial: a cluster may have to add it first.
        ready = ray.remote(num_cpus=config.tune.cpus, num_gpus=config.trial_gpus)(_is_ready)
        # Without cores of its own: if a lost node had the only copy of the features, Ray reads them
        # again, when all cores that are left may be reserved for trials that wait for them.
        task = ray.remote(
            num_cpus=0, num_returns=2, max_retries=RETRIES, **on_nodes_of_trials(config)
        )(_read_for_trials)
        read = inputs.survey, inputs.video_ids, config
        bank, done = task.remote(ready.remote(), marks, *read)
        return cls(bank, len(inputs.video_ids), done)

    def wait(self) -> None:
        """Wait until the features are read; show progress meanwhile.

        Raises:
            Exception: what reading them raises.
        """
        title = "reading the features"
        with progress_bar() as bar, waiting_reported(title):
            row = bar.add_task(title, total=self.count)
            get_result(self.done)
            bar.update(row, completed=self.count)


def _read(survey: Survey, video_ids: Sequence[str], config: Config) -> FeatureBank:
    text, crop = config.model.text, config.data.test_crop
    return FeatureBank.build(survey.store, video_ids, text, crop, survey)


def _is_ready() -> None:
    """Do nothing: Ray has found a node, and imported this module there."""


def _read_for_trials(
    _: None, marks: Marks, survey: Survey, video_ids: Sequence[str], config: Config
) -> tuple[FeatureBank, None]:
    marks.check()
    return _read(survey, video_ids, config), None


def on_nodes_of_trials(config: Config) -> dict[str, Any]:
    """Return the options of a task on a node for trials, and not on a head without cores.

    Args:
        config: `tune.cpus` and the GPUs of a trial say which nodes are large enough.
    """
    needed = {"CPU": config.tune.cpus, "GPU": config.trial_gpus}
    small = [
        node["NodeID"]
        for node in ray.nodes()
        if node["Alive"]
        and any(node["Resources"].get(name, 0) < amount for name, amount in needed.items())
    ]
    return {"label_selector": {RAY_NODE_ID_KEY: f"!in({','.join(small)})"}} if small else {}
