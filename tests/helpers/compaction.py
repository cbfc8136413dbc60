"""Stores whose parts are merged, here and in other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exvad.data.storage.places import resolve_place
from exvad.store.store import Stage, Store
from tests.helpers.feature_store import FINGERPRINT, vision_row

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from exvad.store.index.compaction import compact
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, vision_row
work, root, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
stage = Store(root).stage("vision", FINGERPRINT)
print("ready", flush=True)
for number in range(count):
    if work == "write":
        stage.append([vision_row(f"{name}-{number}")])
    else:
        compact(stage, min_parts=2)
"""


def start_worker(
    work: str, root: str | Path, name: str = "", count: int = 1, **environment: str
) -> subprocess.Popen[str]:
    """Start a process that appends rows one by one, or merges parts again and again.

    Args:
        work: `write` or `compact`.
        root: path or URI of the store.
        name: what the videos of the rows begin with.
        count: how often.
        environment: further variables.
    """
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, work, str(root), name, str(count)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def fill_stage(root: str | Path, parts: int, repeat: int = 1) -> Stage:
    """Fill a vision stage with parts of two rows; a repeated part has other captions."""
    stage = Store(root).stage("vision", FINGERPRINT)
    for turn in range(repeat):
        for part in range(parts):
            texts = [f"turn {turn}", "later"] if turn else ["first", "first"]
            rows = [vision_row(f"v{part}", chunk, 2, captions=texts) for chunk in range(2)]
            stage.append(rows)
    return stage


def stage_files(root: str | Path, suffix: str = "") -> list[str]:
    """Return the names of the files of the vision stage."""
    names = resolve_place(root).list_files(recursive=True)
    return [name for name in names if name.startswith("vision/") and name.endswith(suffix)]


def content(stage: Stage) -> Mapping[tuple[Any, ...], Any]:
    """Return the captions of each row, by key."""
    rows = stage.table(["video_id", "chunk", "captions"]).to_pylist()
    return {(row["video_id"], row["chunk"]): row["captions"] for row in rows}
