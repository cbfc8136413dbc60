"""What tells the content of a stage from another one, without reading features.

k entries of the stage
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.store.fingerprint import read_stage_id
from exvad.store.index.key_rows import ENTRY, Entries, video_code

if TYPE_CHECKING:
    from exvad.store.store import Stage

_KEY = tuple(name for name in ENTRY.names or () if name != "crops")


def content_key(stage: Stage, video_ids: Sequence[str]) -> str:
    """Return a digest that changes when features of videos were computed or imported again.

    It is made of the settings of the stage, of the id that the stage was given when it was created
    or started over, and of the rows that it holds of the videos. So it is another one after
    `--fresh`, in a new store and after videos were added, and the same after a compaction and
    after a retried task wrote a row twice. Part files that were replaced by hand, with the same
    rows of other features, are not noticed; stages that earlier code created have no id.

    Args:
        stage: the stage.
        video_ids: the videos that count.

    Raises:
        CorruptPartError: a file of the stage is damaged.
        StorageError: storage does not answer.
    """
    codes = np.fromiter(map(video_code, video_ids), np.uint64, len(video_ids))
    entries_k = stage.index().entries_k
    entries_k = _joined_crops(entries_k[np.isin(entries_k["video"], codes)])
    known = [stage.name, stage.fingerprint, read_stage_id(stage.folder), ENTRY.descr]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    digest.update(entries_k.tobytes())
    return digest.hexdigest()


def _joined_crops(entries_k: Entries) -> Entries:
    """Return one entry per chunk with all its crops, sorted by everything but these."""
    # A row group ends anywhere, so each of two entries may hold some of the crops of a chunk.
    sorted_k = entries_k[np.lexsort([entries_k[name] for name in reversed(_KEY)])]
    is_first_k = np.ones(len(sorted_k), bool)
    if len(sorted_k) > 1:
        changes = [sorted_k[name][1:] != sorted_k[name][:-1] for name in _KEY]
        is_first_k[1:] = np.logical_or.reduce(changes)
    starts = np.flatnonzero(is_first_k)
    joined = sorted_k[starts]
    if len(starts):
        joined["crops"] = np.bitwise_or.reduceat(sorted_k["crops"], starts)
    return joined
