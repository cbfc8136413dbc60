"""The videos whose features are not complete in a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from exvad.store.survey import Survey

if TYPE_CHECKING:
    from exvad.store.schema import TextKind
    from exvad.store.store import Stage, Store

VideoCrop = tuple[str, int]

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


def no_features(splits: Sequence[str], text: str) -> str:
    """Return the message about splits of which no video has the features.

    Args:
        splits: the splits.
        text: `model.text`.
    """
    advice = "" if text == "none" else ", or use no text (model.text=none)"
    return (
        f"no {' or '.join(splits)} video has the features that model.text={text} needs: preprocess "
        f"or import them{advice}"
    )


def stored_lengths(
    store: Store, crops: Mapping[str, Collection[int]], text: TextKind
) -> tuple[dict[VideoCrop, int], dict[VideoCrop, str]]:
    """Return how many snippets are stored of each crop of some videos, without reading features.

    All crops are found in one pass over the store.

    Args:
        store: the feature store.
        crops: video → its crops.
        text: "none" needs the vision stage only, the others the language stage too.

    Returns:
        (video, crop) → T of those that are complete, and (video, crop) → what is missing of the
        others.

    Raises:
        ValueError: there is no such stage.
    """
    survey = Survey(store, list(crops))
    complete: dict[VideoCrop, int] = {}
    missing: dict[VideoCrop, str] = {}
    for crop in sorted({crop for its_crops in crops.values() for crop in its_crops}):
        reasons, lengths = survey.missing(text, crop), survey.lengths(crop)
        for video, its_crops in crops.items():
            if crop in its_crops and video in reasons:
                missing[video, crop] = reasons[video]
            elif crop in its_crops:
                complete[video, crop] = lengths[video]
    return complete, missing


def check_encoder(vision: Stage, language: Stage) -> None:
    """Refuse text features of another encoder than that of the image features.

    Imported text features may have any width: whoever imports them knows what they are.

    Args:
        vision: the stage of the image features.
        language: the stage of the text features.

    Raises:
        ValueError: the widths differ, and the texts were not imported.
    """
    if language.width != vision.width and "imported" not in language.fingerprint:
        raise ValueError(
            f"text features are {language.width} wide, image features {vision.width}: the stages "
            "of the store were made with different encoders"
        )
