"""Captioned videos, the input of the language stage, and how to read them from the feature store.

T snippets and t captioned snippets of a chunk · c captioned snippets of a video · D feature width
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.parts import PartFolder
from exvad.store.schema import feature_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.store import Store

_COLUMNS = (
    "video_id", "chunk", "crop", "first_snippet", "visual", "caption_snippets", "captions"
)  # fmt: skip


@dataclass(frozen=True)
class CaptionedVideo:
    """A video with raw captions.

    Args:
        video_id: the video.
        caption_snippets: indices of the c captioned snippets, ascending.
        captions: their captions T_i.
        image_cD: their image features E_I(I_i).
    """

    video_id: str
    caption_snippets: Sequence[int]
    captions: Sequence[str]
    image_cD: NDArray[np.floating]


def find_caption_parts(store: Store, video_ids: Collection[str]) -> dict[str, list[str]]:
    """Find the part files of the vision stage that contain each video.

    A worker that gets the file names reads its videos without a scan of the whole store.

    Args:
        store: the feature store.
        video_ids: the videos.

    Returns:
        video → names of its part files, oldest first; empty for a video that is not stored.
    """
    folder = PartFolder(store.root, "vision")
    parts: dict[str, list[str]] = {video: [] for video in video_ids}
    for name, table in folder.read_parts(folder.part_names(), ["video_id"]):
        for video in dict.fromkeys(table["video_id"].to_pylist()):
            if video in parts:
                parts[video].append(name)
    return parts


def read_captioned_videos(store: Store, parts: Mapping[str, Sequence[str]]) -> list[CaptionedVideo]:
    """Read the captioned videos that the vision stage stored.

    Args:
        store: the feature store.
        parts: video → names of its part files, from `find_caption_parts`. Every chunk of the video
            must be stored.

    Returns:
        The videos, in the order of `parts`.

    Raises:
        CorruptPartError: a part file is damaged.
    """
    names = sorted({name for video_parts in parts.values() for name in video_parts})
    chunks: dict[str, dict[int, tuple[dict[str, Any], NDArray[np.float16]]]] = {
        video: {} for video in parts
    }
    for _, table in PartFolder(store.root, "vision").read_parts(names, _COLUMNS):
        rows = table.drop_columns(["visual"]).to_pylist()
        for row, visual_TD in zip(rows, feature_rows(table, "visual"), strict=True):
            if row["crop"] == 0 and row["video_id"] in chunks:
                local_t = [snippet - row["first_snippet"] for snippet in row["caption_snippets"]]
                # Of a chunk that was written twice the first row counts.
                chunks[row["video_id"]].setdefault(row["chunk"], (row, visual_TD[local_t]))
    return [
        _join_chunks(video, [video_chunks[index] for index in sorted(video_chunks)])
        for video, video_chunks in chunks.items()
    ]


def _join_chunks(
    video: str, chunks: Sequence[tuple[dict[str, Any], NDArray[np.float16]]]
) -> CaptionedVideo:
    return CaptionedVideo(
        video,
        [snippet for row, _ in chunks for snippet in row["caption_snippets"]],
        [caption for row, _ in chunks for caption in row["captions"]],
        np.concatenate([image_tD for _, image_tD in chunks]).astype(np.float32),
    )
