"""Captioned videos, the input of the language stage, and how to read them from the feature store.

T snippets and t captioned snippets of a chunk · c captioned snippets of a video · D feature width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from exvad.data.storage.errors import StorageError
from exvad.store.parts import PartFolder, Piece
from exvad.store.schema import feature_rows
from exvad.store.survey import Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.store import Store

_COLUMNS = (
    "video_id", "chunk", "crop", "first_snippet", "visual", "caption_snippets", "captions"
)  # fmt: skip
_TRIES = 20


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


class _RankedChunk(NamedTuple):
    """A chunk that was read, and how many pieces of its video count before that of the chunk."""

    rank: int
    row: dict[str, Any]
    image_tD: NDArray[np.float16]


def read_captioned_videos(
    store: Store, pieces: Mapping[str, Sequence[Piece]]
) -> list[CaptionedVideo]:
    """Read the captioned videos that the vision stage stored.

    Args:
        store: the feature store.
        pieces: video → where its rows are, from `Survey.pieces`: a worker that gets them does not
            have to search the store. Every chunk of the video must be stored.

    Returns:
        The videos, in the order of `pieces`.

    Raises:
        CorruptPartError: a part file is damaged.
        StorageError: storage does not answer.
    """
    for _ in range(_TRIES):
        try:
            return _read_videos(store, pieces)
        except FileNotFoundError:
            # Another job has merged parts since the pieces were found.
            pieces = Survey(store, list(pieces)).pieces("vision", pieces)
    raise StorageError(store.root, "its parts are merged again and again; run again")


def _read_videos(store: Store, pieces: Mapping[str, Sequence[Piece]]) -> list[CaptionedVideo]:
    ranks = {
        (video, piece): rank
        for video, video_pieces in pieces.items()
        for rank, piece in enumerate(video_pieces)
    }
    chunks: dict[str, dict[int, _RankedChunk]] = {video: {} for video in pieces}
    different = sorted({piece for _, piece in ranks})
    folder = PartFolder(store.root, "vision", marks=store.marks)
    for piece, table in folder.read_pieces(different, _COLUMNS):
        rows = table.drop_columns(["visual"]).to_pylist()
        for row, visual_TD in zip(rows, feature_rows(table, "visual"), strict=True):
            video, chunk = row["video_id"], row["chunk"]
            rank = ranks.get((video, piece))
            if row["crop"] != 0 or rank is None:
                continue
            # Of a chunk that was written twice the first row counts.
            if chunk not in chunks[video] or rank < chunks[video][chunk].rank:
                local_t = [snippet - row["first_snippet"] for snippet in row["caption_snippets"]]
                chunks[video][chunk] = _RankedChunk(rank, row, visual_TD[local_t])
    return [
        _join_chunks(video, [video_chunks[index] for index in sorted(video_chunks)])
        for video, video_chunks in chunks.items()
    ]


def _join_chunks(video: str, chunks: Sequence[_RankedChunk]) -> CaptionedVideo:
    return CaptionedVideo(
        video,
        [snippet for chunk in chunks for snippet in chunk.row["caption_snippets"]],
        [caption for chunk in chunks for caption in chunk.row["captions"]],
        np.concatenate([chunk.image_tD for chunk in chunks]).astype(np.float32),
    )
