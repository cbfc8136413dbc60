"""Where the rows of videos are in the store, as text in the rows of a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from exvad.store.parts import Piece


def pieces_text(pieces: Sequence[Piece]) -> str:
    """Return where the rows of a video are, as text for a row of a data set."""
    return json.dumps(pieces)


def read_pieces(batch: Mapping[str, Any]) -> dict[str, list[Piece]]:
    """Return where the rows of each video of a batch are.

    Args:
        batch: columns `video_id` and `pieces` (from `pieces_text`).
    """
    columns = zip(batch["video_id"], batch["pieces"], strict=True)
    return {str(video): [Piece(*pair) for pair in json.loads(text)] for video, text in columns}
