"""Which videos the rows of a comparison were trained and measured on, where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SHOWN_NAMES = 5
SPLIT_NAMES = {"train": "training", "test": "test"}

Videos = Mapping[str, int]
"""Split → number of videos; a system without training has test videos only."""


def differing_splits(counts: Sequence[Videos]) -> list[str]:
    """Return the splits of which rows have different numbers of videos.

    Args:
        counts: of each row.
    """
    values = {split: {row[split] for row in counts if split in row} for split in SPLIT_NAMES}
    return [split for split in SPLIT_NAMES if len(values[split]) > 1]


def in_words(counts: Videos, splits: Sequence[str]) -> list[str]:
    """Return the numbers of videos of some splits as parts of a row's source."""
    return [f"{counts[split]} {SPLIT_NAMES[split]} videos" for split in splits if split in counts]


def notes_on_missing(missing: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Say which videos rows leave out; rows that leave out the same ones share a sentence.

    Args:
        missing: label of a row → split → videos that lack features it reads.
    """
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for label, of_split in missing.items():
        for split, videos in of_split.items():
            if videos:
                rows.setdefault((split, tuple(videos)), []).append(label)
    return [
        f"Without {len(videos)} {SPLIT_NAMES[split]} video{'s' if len(videos) > 1 else ''} that "
        f"lack{'' if len(videos) > 1 else 's'} features or texts ({_short_list(videos)}): "
        f"{'; '.join(labels)}."
        for (split, videos), labels in rows.items()
    ]


def _short_list(videos: Sequence[str]) -> str:
    shown, more = ", ".join(videos[:SHOWN_NAMES]), len(videos) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
