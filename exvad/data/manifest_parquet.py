"""Manifests as Parquet.

The schema metadata has the class names (`exvad.classes`, a JSON list). Labels are `list<string>`
(the column may be called `label` too), events `list<struct<start, end, label>>`, those in seconds
too, and spans `list<struct<start, end>>`. Files of other tools may have the strings of CSV instead
of lists.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.manifest import Manifest
from exvad.data.manifest_table import ManifestTable, canonical_columns, portable_path
from exvad.data.records import ManifestError, Video
from exvad.data.storage.places import Place

CLASSES_KEY = b"exvad.classes"

_INTERVAL = [("start", pa.int64()), ("end", pa.int64())]
_SCHEMA = pa.schema(
    {
        "video_id": pa.string(),
        "path": pa.string(),
        "split": pa.string(),
        "labels": pa.list_(pa.string()),
        "events": pa.list_(pa.struct([*_INTERVAL, ("label", pa.string())])),
        "num_frames": pa.int64(),
        "fps": pa.float64(),
        "snippets": pa.int64(),
        "spans": pa.list_(pa.struct(_INTERVAL)),
        "events_seconds": pa.list_(
            pa.struct([("start", pa.float64()), ("end", pa.float64()), ("label", pa.string())])
        ),
    }
)


def parse_parquet(data: bytes, path: str) -> ManifestTable:
    """Parse the content of a Parquet file.

    Args:
        data: the content.
        path: the file, for locations.

    Raises:
        ManifestError: it is not Parquet, or its class names are not a JSON list.
    """
    try:
        table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
        lists = [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ManifestError([f"{path}: this is not a Parquet file: {reason}"]) from error
    except UnicodeDecodeError as error:  # without checksums, what is damaged may still be read
        raise ManifestError([f"{path}: is damaged: {error}"]) from error
    columns = canonical_columns(table.column_names)
    rows = [
        (f"{path}:row {number}", dict(zip(columns, cells, strict=True)))
        for number, cells in enumerate(zip(*lists, strict=True), 1)
    ]
    return ManifestTable(_parse_classes(table.schema, path), columns, rows)


def write_parquet(manifest: Manifest, path: Place) -> None:
    """Write a manifest as Parquet, atomically; videos below its folder get relative paths.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [_parquet_row(video, path.parent) for video in manifest.videos]
    classes = json.dumps(manifest.classes, ensure_ascii=False)
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({CLASSES_KEY: classes}))
    content = io.BytesIO()
    pq.write_table(table, content, write_page_checksum=True)
    path.write_bytes(content.getbuffer())


def _parse_classes(schema: pa.Schema, path: str) -> tuple[str, ...]:
    try:
        classes = json.loads((schema.metadata or {}).get(CLASSES_KEY, b"[]"))
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise ValueError("not a list of names")
    except ValueError as error:
        problem = f"{path}: the metadata {CLASSES_KEY.decode()!r} must be a JSON list ({error})"
        raise ManifestError([problem]) from error
    return tuple(classes)


def _parquet_row(video: Video, folder: Place) -> dict[str, Any]:
    return {
        "video_id": video.video_id,
        "path": portable_path(video.path, folder),
        "split": video.split,
        "labels": list(video.labels),
        "events": [asdict(event) for event in video.events],
        "num_frames": video.num_frames,
        "fps": video.fps,
        "snippets": video.snippets,
        "spans": [{"start": start, "end": end} for start, end in video.spans],
        "events_seconds": [asdict(event) for event in video.timed_events],
    }
