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
from exvad.store.index.key_rows import ENTRY, video_code

if TYPE_CHECKING:
    from exvad.store.store import Stage


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
    entries_k = np.unique(entries_k[np.isin(entries_k["video"], codes)])
    known = [stage.name, stage.fingerprint, read_stage_id(stage.folder), ENTRY.descr]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    digest.update(entries_k.tobytes())
    return digest.hexdigest()
