"""The detector: a checkpoint that answers about a video — when, what kind, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.aegm import ExplanationError
from exvad.checkpoint import Checkpoint, load_checkpoint
from exvad.data.features import VideoFeatures
from exvad.inference import Prediction, find_events, predict
from exvad.laam import augmented_embedding, readable
from exvad.language import CaptionedVideo, LanguageSettings, LanguageStage
from exvad.results import Analysis, Caption, Explanation
from exvad.training import make_example
from exvad.vision import VisionStage, plan_video

if TYPE_CHECKING:
    from exvad.config import Config


class Detector:
    """Answers about videos with a trained checkpoint.

    The frozen models are loaded when they are first needed, once.

    Args:
        checkpoint: folder of a checkpoint.
        device: where everything runs; None for what the checkpoint was configured with.

    Raises:
        CheckpointError: the folder is no checkpoint.
    """

    def __init__(self, checkpoint: str | Path, device: str | None = None) -> None:
        from exvad.encoders.devices import resolve_device

        loaded = load_checkpoint(checkpoint)
        config = loaded.config
        if device is not None:
            config = config.model_copy(update={"device": device})
        self.checkpoint: Checkpoint = loaded
        self.config: Config = config
        self.classes: tuple[str, ...] = loaded.labels.classes
        self._device = resolve_device(config.device)
        loaded.network.to(self._device)

    def analyze(
        self,
        path: str | Path,
        on_progress: Callable[[float], None] | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
    ) -> Analysis:
        """Say of a video file when something abnormal happens, what kind it is, and why.

        Args:
            path: any video file; only a chunk of it is in memory at a time.
            on_progress: told the share of the video that has been seen, 0 to 1.
            categories: classes to look for beside those it was trained on, each with phrases that
                describe it: LAAM's label embeddings come from text, so they need no training.
            threshold: snippets above it are abnormal, 0 to 1; None for what validation chose.

        Raises:
            VideoError: the file is no video that can be read.
            ValueError: a category can't be added, or the threshold is not between 0 and 1.
        """
        checkpoint = self._widened(categories) if categories else self.checkpoint
        if threshold is not None:
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold {threshold}: scores lie between 0 and 1")
            calibration = checkpoint.calibration.model_copy(update={"threshold": threshold})
            checkpoint = replace(checkpoint, calibration=calibration)
        features, problems = self._see(path, on_progress)
        answer = analyze_features(checkpoint, features, problems, Path(path).name)
        return answer.model_copy(update={"untrained": list(categories or ())})

    def _widened(self, categories: Mapping[str, Sequence[str]]) -> Checkpoint:
        """Return the checkpoint with more classes."""
        import torch

        known = self.checkpoint.labels
        if self.config.model.label_prompt == "learnable":
            raise ValueError("labels learned in training can't be added to: retrain with augmented")
        for name, phrases in categories.items():
            if not name.strip() or name in known.phrases:
                raise ValueError(f"category {name!r}: give a name the detector does not know yet")
            if not phrases or not all(phrase.strip() for phrase in phrases):
                raise ValueError(f"category {name!r}: give at least one phrase that describes it")
        rows = []
        for name, phrases in categories.items():
            own = self._clip.encode_texts([readable(name), *phrases])
            rows.append(augmented_embedding(own[0], own[1:], self.config.labels.k))
        label_CD = self.checkpoint.label_CD
        added = torch.from_numpy(np.stack(rows)).to(label_CD)
        phrases_of = {**known.phrases, **{name: list(own) for name, own in categories.items()}}
        return replace(
            self.checkpoint,
            label_CD=torch.cat([label_CD, added]),
            labels=known.model_copy(update={"phrases": phrases_of}),
        )

    def _see(
        self, path: str | Path, on_progress: Callable[[float], None] | None
    ) -> tuple[VideoFeatures, list[str]]:
        info, tasks = plan_video(Path(path).name, str(path), self.config)
        rows: list[dict[str, Any]] = []
        problems: list[str] = []
        for row, found in self._vision.see_video(tasks):
            rows.append(row)
            problems += found
            if on_progress is not None:
                on_progress(len(rows) / len(tasks))
        visual_TD = np.concatenate([row["visual"] for row in rows])
        snippets = [number for row in rows for number in row["caption_snippets"]]
        captions = [text for row in rows for text in row["captions"]]
        language: dict[str, Any] = {}
        if self.config.model.text != "none":
            video = CaptionedVideo(info.path, snippets, captions, visual_TD[snippets])
            answer = self._language.explain([video])[0]
            if isinstance(answer, ExplanationError):
                raise answer
            language = answer
        by_kind = {"none": None, "captions": "caption_text", "explanation": "text"}
        column = by_kind[self.config.model.text]
        features = VideoFeatures(
            video_id=Path(path).name,
            visual=visual_TD,
            times=np.concatenate([row["times"] for row in rows]),
            text=None if column is None else language[column],
            caption_snippets=snippets,
            captions=captions,
            cleaned_captions=language.get("cleaned_captions", []),
            explanation=language.get("explanation", ""),
            record=_record(language.get("record")),
            num_frames=info.num_frames,
            fps=info.fps,
        )
        return features, problems

    @cached_property
    def _clip(self):  # type: ignore[no-untyped-def]
        from exvad.encoders.load import load_clip

        return load_clip(self.config)

    @cached_property
    def _vision(self) -> VisionStage:
        from exvad.encoders.load import load_captioner

        return VisionStage(self._clip, load_captioner(self.config), self.config.data.short_side)

    @cached_property
    def _language(self) -> LanguageStage:
        from exvad.encoders.load import load_llm

        settings = LanguageSettings.of(self.config, self.classes)
        return LanguageStage(self._clip, load_llm(self.config), settings)


def analyze_features(
    checkpoint: Checkpoint, features: VideoFeatures, problems: Sequence[str], name: str
) -> Analysis:
    """Answer about a video whose features are known.

    Args:
        checkpoint: the trained detector.
        features: of the video, with the text the checkpoint was trained on.
        problems: what could not be read.
        name: how the answer calls the video.
    """
    config = checkpoint.config
    blank_C = np.zeros(len(checkpoint.labels.classes), np.float32)
    example = make_example(features, blank_C, max_snippets=len(features.visual))
    prediction = predict(
        checkpoint.network,
        checkpoint.label_CD,
        [example],
        config.model.tau,
        config.model.max_snippets,
    )[0]
    return compose(checkpoint, features, prediction, problems, name)


def compose(
    checkpoint: Checkpoint,
    features: VideoFeatures,
    prediction: Prediction,
    problems: Sequence[str],
    name: str,
) -> Analysis:
    """Put together what is known of a video into the answer."""
    calibration, classes = checkpoint.calibration, checkpoint.labels.classes
    scores_T = prediction.scores[calibration.branch]
    times = [float(features.times[snippet]) for snippet in features.caption_snippets]
    duration = max(features.num_frames / features.fps, float(features.times[-1]))
    cleaned = features.cleaned_captions or features.captions
    captions = [
        Caption(time=max(time, 0.0), raw=raw, text=text)
        for time, raw, text in zip(times, features.captions, cleaned, strict=True)
    ]
    explanation = None
    if features.record is not None:
        explanation = Explanation.model_validate(features.record)
    label = classes[int(prediction.video_probabilities().argmax())]
    return Analysis(
        video=name,
        duration=duration,
        num_frames=features.num_frames,
        fps=features.fps,
        classes=list(classes),
        label=label,
        anomaly_score=float(np.clip(prediction.video_score(calibration.branch), 0, 1)),
        threshold=calibration.threshold,
        times=[float(time) for time in features.times],
        scores=[float(score) for score in np.clip(scores_T, 0, 1)],
        probabilities=prediction.probabilities_TC.astype(float).round(6).tolist(),
        events=find_events(
            scores_T,
            prediction.probabilities_TC,
            features.times,
            duration,
            classes,
            calibration.threshold,
            times,
        ),
        explanation=explanation,
        captions=captions,
        problems=list(problems),
        model=checkpoint.name,
    )


def _record(text: str | None) -> dict[str, Any] | None:
    return None if text is None else Explanation.model_validate_json(text).model_dump()
