"""The data of a run: its manifest and the features of its videos, loaded in one way by all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.data.dataset import saved_manifest
from exvad.store.feature_bank import FeatureBank, missing_features
from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.records import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class RunData:
    """A data set with the features that a network needs of it.

    Args:
        manifest: the data set.
        banks: features per crop, those of the crop that is validated and tested on first.
        missing: what the store lacks: video → reason.
    """

    manifest: Manifest
    banks: tuple[FeatureBank, ...]
    missing: dict[str, str]

    @property
    def bank(self) -> FeatureBank:
        """The features of the crop that is validated and tested on."""
        return self.banks[0]

    @classmethod
    def load(
        cls, config: Config, splits: Sequence[Split] = SPLITS, all_crops: bool = False
    ) -> RunData:
        """Load the data that preprocessing or an import left in a run; see `read`.

        Raises:
            ValueError: the run has no manifest.
        """
        manifest = saved_manifest(config)
        return cls.read(manifest, Store(config.store_path), config, splits, all_crops)

    @classmethod
    def read(
        cls,
        manifest: Manifest,
        store: Store,
        config: Config,
        splits: Sequence[Split] = SPLITS,
        all_crops: bool = False,
    ) -> RunData:
        """Read the features of some splits; videos that lack some are left out and listed.

        Args:
            manifest: the data set.
            store: where its features are.
            config: `model.text` names the text features, `data.test_crop` and `data.crops` the
                crops.
            splits: whose videos.
            all_crops: read every crop, as training does, and not only the one that is tested on.

        Raises:
            ValueError: no video has the features.
            CorruptPartError: a file of the store is damaged.
        """
        wanted = [video.video_id for video in manifest.videos if video.split in splits]
        text, first = config.model.text, config.data.test_crop
        missing = missing_features(store, wanted, text, first)
        usable = [video for video in wanted if video not in missing]
        if not usable:
            raise ValueError(
                f"no {' or '.join(splits)} video has the features that model.text={text} needs: "
                "preprocess or import them, or use no text (model.text=none)"
            )
        others = [crop for crop in range(config.data.crops) if crop != first] if all_crops else []
        banks = tuple(FeatureBank.build(store, usable, text, crop) for crop in (first, *others))
        return cls(manifest, banks, missing)
