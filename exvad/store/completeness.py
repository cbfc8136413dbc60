"""The videos whose features are not complete in a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from exvad.store.survey import Survey

if TYPE_CHECKING:
    from exvad.store.schema import TextKind
    from exvad.store.store import Store

_MAX_SHOWN = 10


class MissingFeaturesError(ValueError):
    """The store lacks features of some videos.

    Args:
        missing: video → what is missing.

    Attributes:
        missing: all of them; the message shows the first ten.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        shown = [f"  {video}: {reason}" for video, reason in self.missing.items()][:_MAX_SHOWN]
        if len(self.missing) > _MAX_SHOWN:
            shown.append(f"  … and {len(self.missing) - _MAX_SHOWN} more")
        lines = [
            f"the store lacks features of {len(self.missing)} videos:",
            *shown,
            "Preprocess again: only what is missing is computed.",
        ]
        super().__init__("\n".join(lines))


def missing_features(
    store: Store, video_ids: Sequence[str], text: TextKind = "none", crop: int = 0
) -> dict[str, str]:
    """Return what the store lacks of these videos, video → reason, without reading features.

    Args:
        store: the feature store.
        video_ids: which videos.
        text: "none" needs the vision stage only, the others the language stage too.
        crop: which crop of the frames.

    Raises:
        ValueError: there is no such stage.
    """
    return Survey(store, video_ids).missing(text, crop)
