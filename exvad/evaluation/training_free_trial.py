"""One trial of a comparison without training: a system's scores measured on the test set.

The systems read what the store has of the test videos: image features, and captions that a language
model is asked about. They are measured by the code that measures the trained ones.

T snippets · C classes
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.saved_system import COARSE_CLASS
from exvad.data.storage.errors import StorageError
from exvad.data.storage.marks import UnsharedPlaceError
from exvad.data.storage.places import resolve_place
from exvad.encoders.endpoint import EndpointError
from exvad.encoders.loading import load_clip
from exvad.evaluation.evaluation import evaluate
from exvad.evaluation.experiment import summary_metrics
from exvad.evaluation.system_trial import missing_videos
from exvad.evaluation.training_free import TRAINING_FREE, build_training_free, load_inputs
from exvad.evaluation.training_free.flashback import Flashback
from exvad.inference.answers import compose_analysis
from exvad.inference.calibration import Calibration
from exvad.inference.prediction import Prediction
from exvad.inference.system_prediction import as_prediction
from exvad.laam.run_labels import IMPORTED_ORIGIN
from exvad.store.run_data import RunData

if TYPE_CHECKING:
    from exvad.checkpoints.saved_system import Way
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.evaluation.training_free import TrainingFreeResult
    from exvad.laam.run_labels import RunLabels
    from exvad.results import Analysis
    from exvad.store.examples import Example
    from exvad.store.feature_bank import VideoFeatures
    from exvad.store.store import Store

FLASHBACK = "flashback"
WITHOUT_TRAINING: dict[str, str] = {
    **{name: entry.title for name, entry in TRAINING_FREE.items()},
    FLASHBACK: "Flashback-CLIP",
}
"""Name → title of the systems without training."""

WAYS: tuple[Way, ...] = ("F3", "coarse")


@dataclass(frozen=True)
class ScoredPlan:
    """What a trial without training scores.

    Args:
        name: key of `WITHOUT_TRAINING`.
        way: way to the class map, F3 or coarse.
    """

    name: str
    way: Way

    @property
    def title(self) -> str:
        """The name in tables."""
        return WITHOUT_TRAINING[self.name]

    @property
    def key(self) -> str:
        """Name and way as text, for the names of results."""
        return f"{self.name}:{self.way}"

    def models(self, config: Config) -> str:
        """Return the settings that the scores depend on, for the names of results.

        Args:
            config: the configuration of the run.
        """
        return config.model_dump_json(include={self.section})

    @property
    def section(self) -> str:
        """The section of the configuration that has the settings of the system."""
        return "zero_shot" if self.name == FLASHBACK else "llm"

    def configured(self, config: Config) -> ScoredPlan:  # noqa: ARG002 - as those of `TrialPlan`
        """Return the plan itself: the settings are `llm.*` and `zero_shot.*`."""
        return self

    def settings(self, config: Config) -> Config:
        """Return the configuration of a run as the system reads it: without text features."""
        return config.model_copy(update={"model": config.model.model_copy(update={"text": "none"})})


@dataclass(frozen=True)
class _Scored:
    """Scores that are there already, in place of a detector.

    Args:
        config: the configuration of the run.
        classes: the class names, the normal one first.
        predictions: video → its scores.
        coarse: whether there are no classes.
        calibration: of scores that nothing was chosen for.
    """

    config: Config
    classes: tuple[str, ...]
    predictions: Mapping[str, Prediction]
    coarse: bool
    calibration: Calibration

    def predict(
        self,
        examples: Iterable[Example],
        max_snippets: int | None = None,  # noqa: ARG002 - the signature of Checkpoint.predict
    ) -> list[Prediction]:
        """Return the scores of videos."""
        return [self.predictions[example.video_id] for example in examples]

    def compose(
        self,
        features: VideoFeatures,
        prediction: Prediction,
        video: str,
        problems: Sequence[str] = (),
    ) -> Analysis:
        """Compose the analysis of a video."""
        return compose_analysis(
            features, prediction, self.calibration, self.classes,
            video=video, model="without training", problems=problems,
        )  # fmt: skip


def run_scored_trial(
    plan: ScoredPlan,
    config: Config,
    manifest: Manifest,
    store: Store,
    labels: RunLabels,
    resamples: int,
    answers: str = "",
) -> dict[str, Any]:
    """Score the test videos by a system without training, and measure it.

    Args:
        plan: the system.
        config: the configuration of the run.
        manifest: the data set.
        store: the store with its features and captions.
        labels: its classes and phrases with their vectors.
        resamples: number of bootstrap resamples; 0 for no intervals.
        answers: file that keeps the answers of the language model, so that none is asked for
            twice; empty for none.

    Returns:
        A record like that of `run_trial`, with `untrained`: in words, what the system worked with,
        and which answers could not be used. The seed has no effect.

    Raises:
        StorageError, UnsharedPlaceError: the store can't be read here, or for now.
        EndpointError: the language model can't be asked, or for now.
    """
    record: dict[str, Any] = {
        "system": plan.name,
        "way": plan.way,
        "options": {},
        "seed": config.train.seed,
    }
    config = plan.settings(config)
    coarse = plan.way == "coarse"
    try:
        data = RunData.read(manifest, store, config, ("test",))
        videos = [data.bank[video] for video in data.bank]
        began = time.perf_counter()
        result, described = _score(plan, config, labels, videos, answers)
    except (StorageError, UnsharedPlaceError, EndpointError):
        raise  # the system is not to blame: it is not measured, and can be
    except ValueError as error:
        return {**record, "error": str(error)}
    seconds = time.perf_counter() - began
    classes = labels.phrases.classes
    predictions = {
        video.video_id: as_prediction(
            prediction.scores_T, None if coarse else prediction.probabilities_TC
        )
        for video, prediction in zip(videos, result.predictions, strict=True)
    }
    scored = _Scored(
        config,
        (classes[0], COARSE_CLASS) if coarse else classes,
        predictions,
        coarse,
        Calibration(),
    )
    metrics = evaluate(scored, data.bank, manifest, resamples).metrics
    return {
        **record,
        "text": "none",
        "metrics": summary_metrics(metrics),
        "random": metrics["random"],
        "intervals": metrics.get("intervals", {}),
        "per_class": metrics["frames_per_class"],
        "videos": {"test": metrics["videos"]},
        "missing": missing_videos(data, ("test",)),
        "training_seconds": None,
        "scoring_seconds": seconds,
        "crops": f"crop {config.data.test_crop}",
        "selection": {},
        "chosen": {},
        "steps": 0,
        "native": {},
        "untrained": ", ".join([described, *result.notes()]),
    }


def _score(
    plan: ScoredPlan,
    config: Config,
    labels: RunLabels,
    videos: Sequence[VideoFeatures],
    answers: str,
) -> tuple[TrainingFreeResult, str]:
    """Return the scores of videos, and in words what the system worked with."""
    if labels.phrases.origin == IMPORTED_ORIGIN:
        raise ValueError(
            f"{plan.title} compares texts with images by the CLIP that made the features, but "
            "features and labels were imported"
        )
    label_CD = None if plan.way == "coarse" else labels.embeddings(config)
    if plan.name == FLASHBACK:
        flashback = Flashback(config, load_clip(config), label_CD)
        return flashback.score(videos), f"memory of {len(flashback.memory.texts)} descriptions"
    if answers and not resolve_place(answers).is_local:
        raise ValueError(
            f"{plan.title} keeps the answers of the language model in a file of the run, which "
            "must be in a folder and not in a bucket: copy the run"
        )
    captions = next((video.video_id for video in videos if not video.captions), None)
    if captions is not None:
        # Before the models are loaded.
        raise ValueError(
            f"{plan.title} reads captions, but {captions} has none: preprocess it with a captioner"
        )
    inputs = load_inputs(config, label_CD, answers or None)
    result = build_training_free(plan.name, inputs).score(videos)
    return result, f"captions rated by {config.llm.model.rpartition('/')[2]}"
