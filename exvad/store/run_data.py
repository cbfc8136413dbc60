"""The data of a run: its manifest and the features of its videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.data.dataset import read_run_manifest
from exvad.data.records import SPLITS
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
    ) -> RunData:
        """Read the features of some splits; videos with missing features are excluded and listed.

        Args:
            manifest: the data set.
            store: the store of its features.
            config: `model.text` selects the text features, `data.test_crop` the crop.
            splits: the splits whose videos are read.

        Raises:
            ValueError: no video has the features.
            CorruptPartError: a file of the store is damaged.
        """
        survey, complete, missing = survey_complete(manifest, store, config, splits)
        text, test_crop = config.model.text, config.data.test_crop
        return cls(manifest, FeatureBank.build(store, complete, text, test_crop, survey), missing)


def survey_complete(
    manifest: Manifest, store: Store, config: Config, splits: Sequence[Split]
) -> tuple[Survey, list[str], dict[str, str]]:
    """Find the videos of some splits that have all features, without reading these.

    Args:
        manifest: the data set.
        store: the store of its features.
        config: `model.text` selects the text features, `data.test_crop` the crop.
        splits: the splits.

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
    missing = survey.missing(text, config.data.test_crop)
    complete = [video for video in video_ids if video not in missing]
    if not complete:
        raise ValueError(
            f"no {' or '.join(splits)} video has the features that model.text={text} needs: "
            "preprocess or import them, or use no text (model.text=none)"
        )
    return survey, complete, missing
