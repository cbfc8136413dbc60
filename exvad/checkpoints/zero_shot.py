"""A detector without training: what a checkpoint does, done by a memory of scenes.

T snippets
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import exvad
from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import build_config, load_config, override_config
from exvad.encoders.clip import LOCAL_DIR, open_clip_name
from exvad.inference.answers import compose_analysis, video_events, video_label
from exvad.inference.calibration import Calibration
from exvad.inference.prediction import Prediction
from exvad.results.analysis import SCENE_CAPTION
from exvad.zero_shot.encoding import EncodedMemory, encode_memory
from exvad.zero_shot.matching import match_snippets
from exvad.zero_shot.reason import explain_snippet, find_reason
from exvad.zero_shot.scene_memory import SceneMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import ImageTextEncoder
    from exvad.results import Analysis, Explanation
    from exvad.store.examples import Example
    from exvad.store.feature_bank import VideoFeatures

ZERO_SHOT = "zero-shot"  # the reference, in place of that of a checkpoint


def zero_shot_config(overrides: Mapping[str, Any] | None = None) -> Config:
    """Return the configuration of detection without training.

    Args:
        overrides: dotted key, such as `clip.model` → its value.

    Raises:
        ConfigError: a key is unknown or a value is invalid.
    """
    return _without_network(override_config(build_config({}), overrides or {}))


def read_zero_shot(reference: str | Path) -> Config | None:
    """Return the configuration of detection without training that a reference names.

    Args:
        reference: `zero-shot` for the defaults, or a YAML file of settings, such as those of one
            camera: its `zero_shot.normal` and `zero_shot.look_for`.

    Returns:
        None if the reference names something else, such as the folder of a checkpoint.

    Raises:
        ConfigError: the file is missing, or a setting in it is unknown or invalid.
    """
    if str(reference) == ZERO_SHOT:
        return zero_shot_config()
    if Path(reference).suffix not in (".yaml", ".yml"):
        return None
    return _without_network(load_config(str(reference)))


def add_scenes(
    config: Config, normal: Sequence[str], look_for: Mapping[str, Sequence[str]]
) -> Config:
    """Return a configuration with the scenes of one camera or request beside those it has.

    Args:
        config: the configuration.
        normal: further normal scenes.
        look_for: kind of incident → scenes that describe it.

    Raises:
        ConfigError: a scene is empty or too long.
    """
    settings = config.zero_shot
    kinds = dict.fromkeys([*settings.look_for, *look_for])
    merged = {kind: [*settings.look_for.get(kind, []), *look_for.get(kind, [])] for kind in kinds}
    changes = {"zero_shot.normal": [*settings.normal, *normal], "zero_shot.look_for": merged}
    return override_config(config, changes)


def memory_classes(config: Config, scenes: SceneMemory | None = None) -> tuple[str, ...]:
    """Return the classes of detection without training, the normal one first.

    Args:
        config: the configuration.
        scenes: the memory, if it is read already; None to read `zero_shot.memory`.

    Raises:
        ValueError: there is no such memory, or the further scenes can't be added.
    """
    settings = config.zero_shot
    memory = scenes or SceneMemory.read(settings.memory)
    return memory.extended(settings.normal, settings.look_for).classes


def is_zero_shot(checkpoint: AnyCheckpoint) -> bool:
    """Return whether a detector has no training."""
    return isinstance(checkpoint, ZeroShotModel)


def _without_network(config: Config) -> Config:
    # Without a network there is no text feature to compute before the scores.
    changes = {"model.text": "none"}
    if open_clip_name(config.clip.model).startswith(LOCAL_DIR):
        changes["clip.pretrained"] = ""  # a folder has its own weights
    return override_config(config, changes)


@dataclass(frozen=True, eq=False)
class ZeroShotModel:
    """Answers about features without training; used in place of a `Checkpoint`.

    Args:
        scenes: the memory as it was read, without the settings' further scenes.
        memory: the encoded memory.
        config: the configuration; its section `zero_shot` decides about the scores.
        calibration: the threshold and the confidence of a score.
    """

    scenes: SceneMemory
    memory: EncodedMemory
    config: Config
    calibration: Calibration

    @classmethod
    def build(
        cls, config: Config, clip: ImageTextEncoder, scenes: SceneMemory | None = None
    ) -> ZeroShotModel:
        """Read and encode the memory of a configuration.

        Args:
            config: the configuration.
            clip: the image and text encoder.
            scenes: the memory, if it is read already; None to read `zero_shot.memory`.

        Raises:
            ValueError: there is no such memory, or the further scenes can't be added.
        """
        scenes = scenes or SceneMemory.read(config.zero_shot.memory)
        settings = config.zero_shot
        calibration = Calibration(
            branch="classifier",
            threshold=settings.threshold,
            slope=settings.slope,
            offset=settings.offset,
        )
        return cls(scenes, encode_memory(scenes, clip, config), config, calibration)

    @property
    def domain(self) -> None:
        """Statistics of the training features, of which there are none."""
        return None

    @property
    def coarse(self) -> bool:
        """Whether the answers have no classes: never, the memory's kinds of incident are some."""
        return False

    @property
    def name(self) -> str:
        """The name in analyses: the version, the memory's size, and CLIP's name."""
        clip = self.config.clip.model.rpartition("/")[2]
        return f"exvad {exvad.__version__} zero-shot ({len(self.memory.texts)} scenes, {clip})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the normal one first."""
        return self.memory.classes

    def with_scenes(
        self,
        clip: ImageTextEncoder,
        normal: Sequence[str] = (),
        look_for: Mapping[str, Sequence[str]] | None = None,
    ) -> ZeroShotModel:
        """Return the detector with further scenes of one camera or request.

        Args:
            clip: the image and text encoder.
            normal: further normal scenes.
            look_for: kind of incident → scenes that describe it.

        Raises:
            ValueError: the scenes can't be added; see `SceneMemory.extended`.
        """
        config = add_scenes(self.config, normal, look_for or {})
        memory = encode_memory(self.scenes, clip, config, encoded=self.memory)
        return replace(self, config=config, memory=memory)

    def predict(
        self,
        examples: Iterable[Example],
        max_snippets: int | None = None,  # noqa: ARG002 - the signature of Checkpoint.predict
    ) -> list[Prediction]:
        """Score videos of any length.

        Args:
            examples: the videos; only their image features are used.
            max_snippets: has no effect; it is there because a network has such a limit.

        Returns:
            One prediction per video, in order; both branches have the same scores.
        """
        return [self._predict(example.visual_TD) for example in examples]

    def analyze(
        self, features: VideoFeatures, video: str, problems: Sequence[str] = ()
    ) -> Analysis:
        """Analyze a video whose features are extracted.

        Args:
            features: features of the video.
            video: name of the video in the analysis.
            problems: what could not be read.
        """
        prediction = self._predict(features.visual)
        return self.compose(features, prediction, video, problems)

    def compose(
        self,
        features: VideoFeatures,
        prediction: Prediction,
        video: str,
        problems: Sequence[str] = (),
    ) -> Analysis:
        """Compose the analysis of a video; the memory's scenes stand in for missing captions."""
        if features.record is None:
            features = self._with_reason(features, prediction)
        return compose_analysis(
            features,
            prediction,
            self.calibration,
            self.classes,
            video=video,
            model=self.name,
            problems=problems,
        )

    def explain_alert(
        self, visual_D: NDArray[np.floating], label: str
    ) -> tuple[Explanation, list[str]]:
        """Return why a snippet of a stream gives an alert, and the scene that it resembles.

        Args:
            visual_D: CLIP feature of the snippet.
            label: class of the alert.
        """
        scene, explanation = explain_snippet(visual_D, label, self.memory)
        return explanation, [SCENE_CAPTION.format(scene)]

    def _with_reason(self, features: VideoFeatures, prediction: Prediction) -> VideoFeatures:
        """Return features with the scenes that speak for the answer as captions and record."""
        events = video_events(features, prediction, self.calibration, self.classes)
        reason = find_reason(
            features.visual,
            features.times,
            prediction.scores[self.calibration.branch],
            events,
            video_label(events, prediction, self.classes),
            self.memory,
        )
        return replace(
            features,
            caption_snippets=reason.snippets,
            captions=reason.scenes,
            cleaned_captions=[SCENE_CAPTION.format(scene) for scene in reason.scenes],
            record=reason.explanation.model_dump(),
        )

    def _predict(self, visual_TD: NDArray[np.floating]) -> Prediction:
        match = match_snippets(visual_TD, self.memory, self.config)
        scores = {"classifier": match.scores_T, "alignment": match.scores_T}
        return Prediction(scores, match.probabilities_TC)  # type: ignore[arg-type]


AnyCheckpoint = Checkpoint | ZeroShotModel
