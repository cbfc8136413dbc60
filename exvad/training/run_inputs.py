"""What the results of a run depend on beside the settings: videos, labels and features."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from exvad.data.dataset import read_run_manifest
from exvad.data.records import SPLITS
from exvad.laam.run_labels import labels_fingerprint
from exvad.store.index.content_key import content_key
from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.records import Split
    from exvad.store.schema import StageName, TextKind


@dataclass(frozen=True)
class RunInputs:
    """Digests of what trainings of a run read.

    Args:
        manifest: the data set.
        labels: classes and phrases, or imported vectors; see `labels_fingerprint`.
        vision: the image features; see `content_key`.
        read_language: returns the key of the texts and their features; empty without any. It is
            asked only where texts are read: a damaged file of theirs is no matter elsewhere.
    """

    manifest: str
    labels: str
    vision: str
    read_language: Callable[[], str]

    @classmethod
    def read(cls, config: Config, splits: Collection[Split] = SPLITS) -> RunInputs:
        """Read the digests of a run; features are not read.

        Args:
            config: names the run and its store.
            splits: the splits whose features count.

        Raises:
            ValueError: the run has no manifest, labels or image features, or a file of theirs is
                damaged.
        """
        manifest, store = read_run_manifest(config), Store(config.store_path)
        videos = [video.video_id for video in manifest.videos if video.split in splits]

        def key(stage: StageName) -> str:
            return content_key(store.read_stage(stage), videos)

        @cache
        def language() -> str:
            return key("language") if store.has_stage("language") else ""

        return cls(
            manifest.fingerprint(),
            labels_fingerprint(config),
            key("vision"),
            language,
        )

    def key(self, text: TextKind | None = None) -> str:
        """Return what a training depends on, as text.

        Args:
            text: the text features that it reads; with "none" it does not depend on texts. None
                for captions that are read as words.

        Raises:
            ValueError: a file of the texts is damaged.
        """
        language = "" if text == "none" else self.read_language()
        return f"{self.manifest} {self.labels} {self.vision} {language}"
