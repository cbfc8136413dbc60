"""Flashback with CLIP: snippets matched to a memory of described scenes (Lee et al., 2025).

The memory and the matching are those of detection without training (`exvad.zero_shot`); no language
model is asked. Classes come from the label embeddings, as those of the other systems without
training do, because the memory has kinds of incident of its own.

T snippets · C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exvad.baselines.common.class_maps import zero_shot_map
from exvad.baselines.common.prediction import BaselinePrediction
from exvad.evaluation.training_free.scoring import TrainingFreeResult
from exvad.zero_shot.encoding import EncodedMemory, encode_memory
from exvad.zero_shot.matching import match_snippets
from exvad.zero_shot.scene_memory import SceneMemory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import ImageTextEncoder
    from exvad.store.feature_bank import VideoFeatures


class Flashback:
    """Scores videos by their image features; see the module.

    Args:
        config: its section `zero_shot` names the memory and has the settings.
        clip: the encoder of the image features, for the texts of the memory.
        label_CD: label embeddings for the zero-shot class map (F3), the normal class first; None
            for no class map.

    Raises:
        ValueError: there is no such memory.
    """

    def __init__(
        self,
        config: Config,
        clip: ImageTextEncoder,
        label_CD: NDArray[np.floating] | None = None,
    ) -> None:
        self.config, self.label_CD, self.width = config, label_CD, clip.width
        scenes = SceneMemory.read(config.zero_shot.memory)
        self.memory: EncodedMemory = encode_memory(scenes, clip, config)

    def score(self, videos: Sequence[VideoFeatures]) -> TrainingFreeResult:
        """Score every snippet of videos; see `TrainingFreeSystem.score`.

        Raises:
            ValueError: the features have another width than those of the encoder.
        """
        predictions = []
        for video in videos:
            if video.visual.shape[1] != self.width:
                raise ValueError(
                    f"the image features of {video.video_id} are {video.visual.shape[1]} wide, but "
                    f"those of clip.model {self.width}: it must be the model of the features"
                )
            scores_T = match_snippets(video.visual, self.memory, self.config).scores_T
            map_TC = None
            if self.label_CD is not None:
                map_TC = zero_shot_map(scores_T, video.visual, self.label_CD)
            predictions.append(BaselinePrediction(scores_T, map_TC))
        return TrainingFreeResult(predictions, {}, ())
