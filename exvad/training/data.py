"""Features and labels of a data set → training and selection examples.

C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.store.examples import Example, make_example

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.feature_bank import FeatureBank


@dataclass(frozen=True)
class TrainingData:
    """The examples of one training.

    Args:
        train: examples to train on.
        select: examples to choose the epoch by.
    """

    train: Sequence[Example]
    select: Sequence[Example]


def training_data(
    bank: FeatureBank, manifest: Manifest, config: Config, more_crops: Sequence[FeatureBank] = ()
) -> TrainingData:
    """Make the examples of a data set; videos without features are left out.

    Args:
        bank: features of the crop that is validated and tested on.
        manifest: the data set.
        config: `train.select_on` names the split to choose the epoch by.
        more_crops: features of the other crops, which are used for training only.

    Raises:
        ValueError: there is no training example or no selection example.
    """

    def examples(split: str, banks: Sequence[FeatureBank]) -> list[Example]:
        videos = [video for video in manifest.videos if video.split == split]
        return [
            make_example(crop[video.video_id], manifest.target(video), config.model.max_snippets)
            for crop in banks
            for video in videos
            if video.video_id in crop
        ]

    data = TrainingData(
        train=examples("train", [bank, *more_crops]),
        select=examples(config.train.select_on, [bank]),
    )
    if not data.train or not data.select:
        raise ValueError(
            f"{len(data.train)} training and {len(data.select)} {config.train.select_on} videos "
            "have features: preprocess more, or raise data.validation"
        )
    return data
