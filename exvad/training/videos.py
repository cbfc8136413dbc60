"""Which videos of a run can be trained on, found without reading their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.store.completeness import MissingFeaturesError, VideoCrop, stored_lengths

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.records import Video
    from exvad.store.store import Store


@dataclass(frozen=True)
class TrainingVideos:
    """The videos of a training.

    Args:
        manifest: the data set.
        crops: the crops that are trained on, first the one that is validated on.
        lengths: (video, crop) → T of all crops of the training videos, and of the first crop of
            the videos that select the epoch.
        missing: videos whose features are missing or incomplete: video → reason.
    """

    manifest: Manifest
    crops: tuple[int, ...]
    lengths: dict[VideoCrop, int]
    missing: dict[str, str]

    def of_split(self, split: str) -> Sequence[Video]:
        """Return the videos of a split that have features, in the order of the data set."""
        test_crop = self.crops[0]
        return [
            video
            for video in self.manifest.videos
            if video.split == split and (video.video_id, test_crop) in self.lengths
        ]

    def check_enough(self, config: Config) -> None:
        """Check that there is something to train on for every worker, and to validate on.

        Args:
            config: `train.workers` and `train.select_on`.

        Raises:
            ValueError: there is not.
        """
        train, select = self.of_split("train"), self.of_split(config.train.select_on)
        check_counts(len(train), len(select), config)
        if len(train) < config.train.workers:
            raise ValueError(
                f"train.workers is {config.train.workers}, but there are only {len(train)} "
                "training videos"
            )

    def one_sided(self) -> str | None:
        """Return a sentence if the training videos are all normal or all abnormal; else None."""
        train = self.of_split("train")
        abnormal = sum(video.abnormal for video in train)
        if 0 < abnormal < len(train):
            return None
        kind, other = ("abnormal", "normal") if abnormal else ("normal", "abnormal")
        return (
            f"the training videos ({len(train)}) are all {kind}, so the detector can't learn the "
            f"difference: add {other} videos"
        )

    @classmethod
    def find(cls, manifest: Manifest, store: Store, config: Config) -> TrainingVideos:
        """Find the videos in one pass over the store; those without features are listed.

        Args:
            manifest: the data set.
            store: the store of its features.
            config: `model.text` selects the text features, `data.test_crop` and `data.crops` the
                crops, `train.select_on` the split that selects the epoch.

        Raises:
            MissingFeaturesError: a video has the crop that is validated on, and lacks another.
            ValueError: no video has the features.
        """
        test_crop, select_on = config.data.test_crop, config.train.select_on
        crops = (test_crop, *(crop for crop in range(config.data.crops) if crop != test_crop))
        wanted = {
            video.video_id: crops if video.split == "train" else (test_crop,)
            for video in manifest.videos
            if video.split in ("train", select_on)
        }
        lengths, incomplete = stored_lengths(store, wanted, config.model.text)
        missing = {video: why for (video, crop), why in incomplete.items() if crop == test_crop}
        lacking = {
            f"{video}, crop {crop}": why
            for (video, crop), why in incomplete.items()
            if video not in missing
        }
        if lacking:
            raise MissingFeaturesError(lacking)
        lengths = {key: length for key, length in lengths.items() if key[0] not in missing}
        if not lengths:
            raise ValueError(
                f"no train or {select_on} video has the features that "
                f"model.text={config.model.text} needs: preprocess or import them, or use no text "
                "(model.text=none)"
            )
        return cls(manifest, crops, lengths, missing)


def check_counts(train: int, select: int, config: Config) -> None:
    """Check that there are examples to train on and to select the epoch by.

    Args:
        train: number of training examples.
        select: number of examples to select the epoch by.
        config: `train.select_on` names their split.

    Raises:
        ValueError: there are none.
    """
    if not train or not select:
        raise ValueError(
            f"{train} training and {select} {config.train.select_on} videos have features: "
            "preprocess or import more, or raise data.validation and preprocess or import again, "
            "which divides the videos"
        )
