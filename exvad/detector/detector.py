"""The detector: a checkpoint that answers about a video — when, what kind, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exvad.aegm.explanation import explanation_schema
from exvad.checkpoints.checkpoint import Checkpoint, load_checkpoint
from exvad.detector.extraction import Extractor
from exvad.laam.label_vectors import augmented_embedding
from exvad.laam.phrases import readable
from exvad.results import Analysis
from exvad.store.examples import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import Models
    from exvad.video.chunks import VideoInfo
    from exvad.video.decoder import Decoder

FirstScores = Callable[["NDArray[np.float64]", "NDArray[np.float32]"], None]
UNEXPLAINED = "nothing was explained, so the scores rest on the pictures alone"


class Examination(NamedTuple):
    """An answer, and how many seconds each stage took that led to it."""

    analysis: Analysis
    seconds: dict[str, float]


@dataclass(frozen=True)
class Listener:
    """Who is told of an analysis while it is made.

    Args:
        progress: told the share of the video that has been seen, 0 to 1.
        scores: told first scores as the video is seen: seconds and scores, [t] each, by the
            pictures alone.
        words: told the explanation so far while it is written, where the model tells.
        check: told what the file contains before it is decoded; what it raises ends the work.
    """

    progress: Callable[[float], None] | None = None
    scores: FirstScores | None = None
    words: Callable[[str], None] | None = None
    check: Callable[[VideoInfo], None] | None = None


class Detector:
    """Answers about videos with a trained checkpoint.

    Args:
        checkpoint: folder of a checkpoint.
        device: where everything runs; None for what the checkpoint was configured with.
        models: the frozen models, which may work at the same time; None to load them here when
            they are first needed.
        decoder: who decodes videos; None for this process.

    Raises:
        CheckpointError: the folder is no checkpoint.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        device: str | None = None,
        models: Models | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        from exvad.encoders.devices import resolve_device
        from exvad.encoders.loading import LocalModels

        loaded = load_checkpoint(checkpoint)
        config = loaded.config
        if device is not None:
            config = config.model_copy(update={"device": device})
        self.checkpoint: Checkpoint = loaded
        self.config: Config = config
        self.classes: tuple[str, ...] = loaded.labels.classes
        self.models: Models = models or LocalModels(config, explanation_schema(self.classes))
        self._extractor = Extractor(
            config, self.models, self.classes, decoder, overlaps=models is not None
        )
        loaded.network.to(resolve_device(config.device))

    def analyze(
        self,
        path: str | Path,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
        explain: bool = True,
        listener: Listener | None = None,
    ) -> Analysis:
        """Say of a video file when something abnormal happens, what kind it is, and why.

        See `examine` for the arguments and what is raised.
        """
        return self.examine(path, categories, threshold, explain, listener).analysis

    def examine(
        self,
        path: str | Path,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
        explain: bool = True,
        listener: Listener | None = None,
    ) -> Examination:
        """Analyze a video file, and tell what took how long.

        Args:
            path: any video file; only a few chunks of it are in memory at a time.
            categories: classes to look for beside those it was trained on, each with phrases that
                describe it: LAAM's label embeddings come from text, so they need no training.
            threshold: snippets above it are abnormal, 0 to 1; None for what validation chose.
            explain: False to leave captions and explanation out, which is much faster; a network
                that was trained with text then scores by the pictures alone.
            listener: who is told while the analysis is made.

        Raises:
            VideoError: the file is no video that can be read.
            ValueError: a category can't be added, or the threshold is not between 0 and 1.
        """
        told = listener or Listener()
        checkpoint = self.widened(categories) if categories else self.checkpoint
        if threshold is not None:
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold {threshold}: scores lie between 0 and 1")
            calibration = checkpoint.calibration.model_copy(update={"threshold": threshold})
            checkpoint = replace(checkpoint, calibration=calibration)

        def seen(
            visual_tD: NDArray[np.float16], times_t: NDArray[np.float64], share: float
        ) -> None:
            if told.scores is not None:
                told.scores(times_t, first_scores(checkpoint, visual_tD))
            if told.progress is not None:
                told.progress(share)

        found = self._extractor.extract(path, explain, seen, told.check, told.words)
        problems = found.problems
        if not explain and self.config.model.text != "none":
            problems = [*problems, UNEXPLAINED]
        began = time.perf_counter()
        answer = checkpoint.analyze(found.features, Path(path).name, problems)
        answer = answer.model_copy(update={"untrained": list(categories or ())})
        detecting = round(time.perf_counter() - began, 4)
        return Examination(answer, {**found.seconds, "detecting": detecting})

    def widened(self, categories: Mapping[str, Sequence[str]]) -> Checkpoint:
        """Return the checkpoint with more classes, each described by phrases.

        Raises:
            ValueError: a category can't be added.
        """
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
            own = self.models.clip.encode_texts([readable(name), *phrases])
            rows.append(augmented_embedding(own[0], own[1:], self.config.labels.k))
        label_CD = self.checkpoint.label_CD
        added = torch.from_numpy(np.stack(rows)).to(label_CD)
        phrases_of = {**known.phrases, **{name: list(own) for name, own in categories.items()}}
        return replace(
            self.checkpoint,
            label_CD=torch.cat([label_CD, added]),
            labels=known.model_copy(update={"phrases": phrases_of}),
        )


def first_scores(checkpoint: Checkpoint, visual_tD: NDArray[np.float16]) -> NDArray[np.float32]:
    """Score a stretch of a video by its pictures alone, [t] from 0 to 1.

    A network that was trained with text is given none, as where text dropout left it out.

    Args:
        checkpoint: the trained detector.
        visual_tD: CLIP features of consecutive snippets.
    """
    with_text = checkpoint.config.model.text != "none"
    silent_D = np.zeros(visual_tD.shape[1], np.float32) if with_text else None
    (prediction,) = checkpoint.predict([Example("", visual_tD.astype(np.float32), silent_D)])
    return np.clip(prediction.scores[checkpoint.calibration.branch], 0, 1)
