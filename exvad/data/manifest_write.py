"""The two formats of manifest files, written; `manifest_files.py` describes them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

from exvad.data.atomic import atomic_file, write_text_atomic
from exvad.data.manifest import Manifest
from exvad.data.manifest_rows import CLASSES_KEY, COLUMNS, REQUIRED
from exvad.data.records import ManifestError, Video


def _portable(path: str, folder: Path) -> str:
    whole = Path(path).absolute()
    if "://" in path:
        return path
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)


def write_parquet(manifest: Manifest, path: Path, folder: Path) -> None:
    """Write Parquet; videos below `folder` relative to it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stretch = [("start", pa.int64()), ("end", pa.int64())]
    schema = pa.schema(
        {
            "video_id": pa.string(),
            "path": pa.string(),
            "split": pa.string(),
            "labels": pa.list_(pa.string()),
            "events": pa.list_(pa.struct([*stretch, ("label", pa.string())])),
            "num_frames": pa.int64(),
            "fps": pa.float64(),
            "snippets": pa.int64(),
            "spans": pa.list_(pa.struct(stretch)),
        },
        metadata={CLASSES_KEY: json.dumps(manifest.classes, ensure_ascii=False)},
    )
    rows = [
        {
            "video_id": video.video_id,
            "path": _portable(video.path, folder),
            "split": video.split,
            "labels": list(video.labels),
            "events": [asdict(event) for event in video.events],
            "num_frames": video.num_frames,
            "fps": video.fps,
            "snippets": video.snippets,
            "spans": [{"start": start, "end": end} for start, end in video.spans],
        }
        for video in manifest.videos
    ]
    with atomic_file(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)


def write_csv(manifest: Manifest, path: Path, folder: Path) -> None:
    """Write CSV; videos below `folder` relative to it."""
    rows = [_csv_row(video, folder) for video in manifest.videos]
    problems = [
        f"{path}: the {name} {row[name]!r} has a line break or blanks around it, which CSV here "
        "cannot hold; write .parquet"
        for row in rows
        for name in ("video_id", "path")
        if row[name] != row[name].strip() or set("\r\n\0") & set(row[name])
    ]
    if problems:
        raise ManifestError(problems)
    columns = [name for name in COLUMNS if name in REQUIRED or any(row[name] for row in rows)]
    text = io.StringIO(newline="")
    text.write(f"# classes: {', '.join(manifest.classes)}\n")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())


def _csv_row(video: Video, folder: Path) -> dict[str, str]:
    return {
        "video_id": video.video_id,
        "path": _portable(video.path, folder),
        "split": video.split,
        "labels": ";".join(video.labels),
        "events": ";".join(f"{e.label}:{e.start}-{e.end}" for e in video.events),
        "num_frames": "" if video.num_frames is None else str(video.num_frames),
        "fps": "" if video.fps is None else repr(float(video.fps)),
        "snippets": "" if video.snippets is None else str(video.snippets),
        "spans": ";".join(f"{start}-{end}" for start, end in video.spans),
    }
