"""The detector: when a video shows something abnormal, of which class, and why.

T snippets · t snippets of a chunk · C classes · m phrases of a class · D feature width
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from exvad.aegm.explanation_format import explanation_schema
from exvad.checkpoints.checkpoint import Checkpoint, load_checkpoint
from exvad.checkpoints.zero_shot import AnyCheckpoint, ZeroShotModel, memory_classes
from exvad.config import Config, override_config, override_models
from exvad.detector.extraction import Extractor
from exvad.detector.imported_features import check_encoder_fits
from exvad.detector.second_look import SecondLook
from exvad.detector.stage_timer import StageTimer
from exvad.encoders.devices import resolve_device
from exvad.encoders.loading import LocalModels
from exvad.laam.phrases import readable_label
from exvad.laam.top_phrases import augmented_embedding
from exvad.results import Analysis
from exvad.store.examples import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import Models
    from exvad.video.decoder import Decoder
    from exvad.video.survey import VideoInfo
    from exvad.zero_shot.scene_memory import SceneMemory

ScoresCallback = Callable[["NDArray[np.float64]", "NDArray[np.float32]"], None]
UNEXPLAINED = "the video was not explained, so its scores use the images alone"


class TimedAnalysis(NamedTuple):
    """An analysis with the duration of each stage.

    Args:
        analysis: the analysis.
        seconds: stage → seconds.
    """

    analysis: Analysis
    seconds: dict[str, float]


@dataclass(frozen=True)
class AnalysisCallbacks:
    """Functions that are called while a video is analyzed.

    Args:
        on_progress: called with the share of the video that is encoded, 0 to 1.
        on_scores: called with the seconds and first scores of each chunk, [t] each. First scores
            use the images alone.
        on_text: called with the explanation so far while the model generates it, if the model
            supports that.
        check_video: called with the facts about the video before it is decoded; an exception ends
            the analysis.
    """

    on_progress: Callable[[float], None] | None = None
    on_scores: ScoresCallback | None = None
    on_text: Callable[[str], None] | None = None
    check_video: Callable[[VideoInfo], None] | None = None


class Detector:
    """Analyzes videos with a trained checkpoint, or without training by a memory of scenes.

    Args:
        checkpoint: folder of the checkpoint; a configuration to detect without training (see
            `exvad.checkpoints.zero_shot.zero_shot_config`).
        device: device of all models; None for the checkpoint's configuration.
        models: the frozen models, which may run in parallel; None to load them in this process
            at their first use.
        decoder: the video decoder; None to decode in this process.
        overrides: settings of the frozen models that replace the checkpoint's, such as
            `llm.backend` → `openai`; see `exvad.config.override_models`.
        scenes: without training: the memory of scenes; None to read `zero_shot.memory`.

    Raises:
        CheckpointError: the folder is no checkpoint.
        OtherVersionError: a version of exvad with another format wrote the checkpoint.
        ModelUnavailableError: without training: the weights of CLIP can't be found.
        ValueError: without training: there is no such memory of scenes.
    """

    def __init__(
        self,
        checkpoint: str | Path | Config,
        device: str | None = None,
        models: Models | None = None,
        decoder: Decoder | None = None,
        overrides: Mapping[str, Any] | None = None,
        scenes: SceneMemory | None = None,
    ) -> None:
        self.checkpoint: AnyCheckpoint
        self._checked = True
        if isinstance(checkpoint, Config):
            config = _on_device(override_config(checkpoint, overrides or {}), device)
            schema = explanation_schema(memory_classes(config, scenes))
            self.models: Models = models or LocalModels(config, schema)
            self.checkpoint = ZeroShotModel.build(config, self.models.clip, scenes)
        else:
            trained = load_checkpoint(checkpoint)
            config = _on_device(override_models(trained.config, overrides or {}), device)
            self.models = models or LocalModels(config, explanation_schema(trained.classes))
            self._checked = models is not None
            trained.network.to(resolve_device(config.device))
            self.checkpoint = trained
        self.config: Config = config
        self.classes: tuple[str, ...] = self.checkpoint.classes
        self._extractor = Extractor(
            config,
            self.models,
            self.classes,
            decoder,
            parallel=models is not None,
            score=self._score_for_captions if sees_without_text(config) else None,
        )

    def analyze(
        self,
        path: str | Path,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
        explain: bool = True,
        callbacks: AnalysisCallbacks | None = None,
        normal: Sequence[str] = (),
    ) -> Analysis:
        """Analyze a video file: when something abnormal happens, of which class, and why.

        Args:
            path: any video file; only a few chunks of it are in memory at a time.
            categories: additional classes, each with phrases that describe it. Label embeddings
                come from text, so additional classes need no training.
            threshold: snippets with a higher score are abnormal, 0 to 1; None for the threshold
                that was chosen on validation.
            explain: False to skip captions and explanation, which is much faster; the scores of a
                network that was trained with text then use the images alone.
            callbacks: functions to call during the analysis.
            normal: further normal scenes of this camera; without training only.

        Raises:
            VideoError: the file is not a readable video.
            EndpointError: a model's endpoint cannot be used.
            ValueError: a category or a normal scene cannot be added, or the threshold is not
                between 0 and 1.
        """
        return self.analyze_timed(path, categories, threshold, explain, callbacks, normal).analysis

    def analyze_timed(
        self,
        path: str | Path,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
        explain: bool = True,
        callbacks: AnalysisCallbacks | None = None,
        normal: Sequence[str] = (),
    ) -> TimedAnalysis:
        """Analyze a video file and measure each stage; see `analyze`."""
        callbacks = callbacks or AnalysisCallbacks()
        checkpoint = self.checkpoint
        self.check_encoder()
        if categories or normal:
            checkpoint = self.with_categories(categories or {}, normal)
        if threshold is not None:
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold {threshold}: it must lie between 0 and 1")
            calibration = checkpoint.calibration.model_copy(update={"threshold": threshold})
            checkpoint = replace(checkpoint, calibration=calibration)

        def on_chunk(
            visual_tD: NDArray[np.float16], times_t: NDArray[np.float64], share: float
        ) -> None:
            if callbacks.on_scores is not None:
                callbacks.on_scores(times_t, first_scores(checkpoint, visual_tD))
            if callbacks.on_progress is not None:
                callbacks.on_progress(share)

        extraction = self._extractor.extract(
            path, explain, on_chunk, callbacks.check_video, callbacks.on_text
        )
        problems = extraction.problems
        if not explain and self.config.model.text != "none":
            problems = [*problems, UNEXPLAINED]
        timer = StageTimer(extraction.seconds)
        with timer.measure("detecting"):
            analysis = checkpoint.analyze(extraction.features, _shown_name(path), problems)
        looks_again = explain and analysis.events and checkpoint.config.zero_shot.uses_models
        if looks_again and isinstance(checkpoint, ZeroShotModel):
            look = SecondLook(self._extractor.config, self.models, self._extractor.decoder)
            with timer.measure("explaining"):
                analysis = look.take(path, extraction.features, analysis, checkpoint)
        analysis = analysis.model_copy(update={"untrained": list(categories or ())})
        return TimedAnalysis(analysis, timer.seconds)

    def check_encoder(self) -> None:
        """Refuse a checkpoint of imported features that CLIP can't make, before CLIP is loaded.

        Raises:
            ValueError: the model in `clip.model` gives features of another width.
        """
        if not self._checked and isinstance(self.checkpoint, Checkpoint):
            check_encoder_fits(self.checkpoint)
        self._checked = True

    def _score_for_captions(self, visual_tD: NDArray[np.float16]) -> NDArray[np.float32]:
        return first_scores(self.checkpoint, visual_tD)

    def with_categories(
        self, categories: Mapping[str, Sequence[str]], normal: Sequence[str] = ()
    ) -> AnyCheckpoint:
        """Return the checkpoint with additional classes.

        Args:
            categories: class name → phrases that describe it.
            normal: further normal scenes; without training only.

        Raises:
            ValueError: a category has no name or no phrases, its class exists already, or the
                label embeddings were learned in training. Without training, a kind of incident
                that exists gets further scenes.
        """
        if isinstance(self.checkpoint, ZeroShotModel):
            return self.checkpoint.with_scenes(self.models.clip, normal, categories)
        if normal:
            raise ValueError(
                "normal scenes can be added to detection without training only: this network was "
                "trained, and its normal class with it"
            )
        labels, system = self.checkpoint.labels, self.checkpoint.system
        if system is not None:
            raise ValueError(
                f"categories cannot be added to {system.title}: use a checkpoint of Ex-VAD, whose "
                "classes are texts"
            )
        if self.config.model.label_prompt == "learnable":
            raise ValueError(
                "categories cannot be added to labels that were learned in training: "
                "train again with model.label_prompt=augmented"
            )
        rows = []
        for name, phrases in categories.items():
            if not name.strip() or name in labels.phrases:
                raise ValueError(f"category {name!r}: give a name that is no class yet")
            if not phrases or not all(phrase.strip() for phrase in phrases):
                raise ValueError(f"category {name!r}: give at least one phrase that describes it")
            label_D, *phrase_mD = self.models.clip.encode_texts([readable_label(name), *phrases])
            rows.append(augmented_embedding(label_D, np.stack(phrase_mD), self.config.labels.k))
        label_CD = self.checkpoint.label_CD
        added_CD = torch.from_numpy(np.stack(rows)).to(label_CD)
        added_phrases = {name: list(phrases) for name, phrases in categories.items()}
        return replace(
            self.checkpoint,
            label_CD=torch.cat([label_CD, added_CD]),
            labels=labels.model_copy(update={"phrases": {**labels.phrases, **added_phrases}}),
        )


def sees_without_text(config: Config) -> bool:
    """Return whether training also taught the network to score images without their text."""
    return config.model.text == "none" or config.train.text_dropout > 0


def first_scores(checkpoint: AnyCheckpoint, visual_tD: NDArray[np.float16]) -> NDArray[np.float32]:
    """Score consecutive snippets by their images alone.

    A network that was trained with text gets a text feature of zeros, as in text dropout.

    Args:
        checkpoint: the trained detector.
        visual_tD: CLIP features of the snippets.

    Returns:
        Anomaly scores, [t], 0 to 1.
    """
    with_text = checkpoint.config.model.text != "none"
    zero_text_D = np.zeros(visual_tD.shape[1], np.float32) if with_text else None
    (prediction,) = checkpoint.predict([Example("", visual_tD.astype(np.float32), zero_text_D)])
    return np.clip(prediction.scores[checkpoint.calibration.branch], 0, 1)


def _on_device(config: Config, device: str | None) -> Config:
    return config if device is None else config.model_copy(update={"device": device})


def _shown_name(path: str | Path) -> str:
    """Return the name of a file as text; a name that is not UTF-8 gets marks in its place."""
    return os.fsencode(Path(path).name).decode("utf-8", "replace")
