"""The data of a run: its manifest and the features of its videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.data.dataset import read_run_manifest
from exvad.data.records import SPLITS
from exvad.store.completeness import no_features
from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from exvad.store.survey import Survey

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.records import Split


@dataclass(frozen=True)
class RunData:
    """A data set with the features of its videos.

    Args:
        manifest: the data set.
        bank: the features of the crop used for validation and testing.
        missing: videos whose features are missing or incomplete: video → reason.
    """

    manifest: Manifest
    bank: FeatureBank
    missing: dict[str, str]

    @classmethod
    def load(cls, config: Config, splits: Sequence[Split] = SPLITS) -> RunData:
        """Load the data that preprocessing or an import stored in a run; see `read`.

        Raises:
            ValueError: the run has no manifest.
        """
        manifest = read_run_manifest(config)
        return cls.read(manifest, Store(config.store_path), config, splits)

    @classmethod
    def read(
        cls,
        manifest: Manifest,
        store: Store,
        config: Config,
        splits: Sequence[Split] = SPLITS,
        stacked: int = 1,
    ) -> RunData:
        """Read the features of some splits; videos with missing features are excluded and listed.

        Args:
            manifest: the data set.
            store: the store of its features.
            config: `model.text` selects the text features, `data.test_crop` the crop.
            splits: the splits whose videos are read.
            stacked: how many crops, from crop 0 on, are put side by side; 1 for `data.test_crop`.

        Raises:
            ValueError: no video has the features.
            CorruptPartError: a file of the store is damaged.
        """
        survey, complete, missing = survey_complete(manifest, store, config, splits, stacked)
        text, crops = config.model.text, _crops(config, stacked)
        bank = FeatureBank.build(store, complete, text, crops[0], survey)
        if stacked > 1:
            others = (FeatureBank.build(store, complete, "none", c, survey) for c in crops[1:])
            bank = bank.beside(list(others))
        return cls(manifest, bank, missing)


def survey_complete(
    manifest: Manifest, store: Store, config: Config, splits: Sequence[Split], stacked: int = 1
) -> tuple[Survey, list[str], dict[str, str]]:
    """Find the videos of some splits that have all features, without reading these.

    Args:
        manifest: the data set.
        store: the store of its features.
        config: `model.text` selects the text features, `data.test_crop` the crop.
        splits: the splits.
        stacked: number of crops that a video needs; 1 for the one of `data.test_crop`.

    Returns:
        What the store holds of the videos, those that have the features, and video → what is
        missing of the others.

    Raises:
        ValueError: no video has the features.
        CorruptPartError: a file of the store is damaged.
    """
    video_ids = [video.video_id for video in manifest.videos if video.split in splits]
    text = config.model.text
    survey = Survey(store, video_ids)
    missing: dict[str, str] = {}
    for crop in _crops(config, stacked):
        missing = survey.missing(text, crop) | missing
    complete = [video for video in video_ids if video not in missing]
    if not complete:
        raise ValueError(
            no_features(splits, text)
            if stacked == 1
            else f"no video has the features of {stacked} crops: preprocess or import them, "
            "or set data.crops to the number of crops that are there"
        )
    return survey, complete, missing


def _crops(config: Config, stacked: int) -> Sequence[int]:
    return range(stacked) if stacked > 1 else (config.data.test_crop,)
