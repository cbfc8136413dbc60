"""The columns of each stage of the feature store, and its features as numpy arrays.

t snippets, or for a language row c captions, of one row · D feature width
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa

StageName = Literal["captions", "vision", "language"]
TextKind = Literal["none", "captions", "explanation", "grounded"]  # the text features of a video

KEYS: dict[StageName, tuple[str, ...]] = {
    "captions": ("video_id", "snippet"),
    "vision": ("video_id", "chunk", "crop"),
    "language": ("video_id",),
}
# The feature columns; the first one determines D, and the others must agree with it.
FEATURES: dict[StageName, tuple[str, ...]] = {
    "captions": (),
    "vision": ("visual",),
    "language": ("text", "caption_text"),
}


# Columns that rows may lack: they are empty lists then. Stores of earlier code have none.
# Of a video that is explained in segments, the language stage has the end of each (as the number of
# captions before it), its record, and its text feature, D numbers per segment.
OPTIONAL: dict[StageName, tuple[str, ...]] = {
    "captions": (),
    "vision": ("clock",),
    "language": ("segment_ends", "segment_records", "segment_text"),
}


def optional_fields(stage: StageName) -> list[pa.Field]:
    """Return the fields of a stage that its parts may lack."""
    return [stage_schema(stage, 1).field(name) for name in OPTIONAL[stage]]


def stage_schema(stage: StageName, width: int) -> pa.Schema:
    """Return the Arrow schema of a stage.

    Args:
        stage: which stage.
        width: D, the width of its features.
    """
    vector = pa.list_(pa.field("element", pa.float16(), nullable=False), width)
    columns: dict[str, pa.DataType]
    if stage == "captions":
        columns = {"video_id": pa.string(), "snippet": pa.int32(), "caption": pa.string()}
    elif stage == "vision":
        columns = {
            "video_id": pa.string(),
            "chunk": pa.int32(),
            "crop": pa.int8(),
            "first_snippet": pa.int32(),
            "num_chunks": pa.int32(),
            "visual": _list_of(vector),
            "times": _list_of(pa.float64()),
            "caption_snippets": _list_of(pa.int32()),
            "captions": _list_of(pa.string()),
            "num_frames": pa.int64(),
            "fps": pa.float64(),
            "clock": _list_of(pa.float64()),
        }
    else:
        columns = {
            "video_id": pa.string(),
            "captions": _list_of(pa.string()),
            "caption_snippets": _list_of(pa.int32()),
            "cleaned_captions": _list_of(pa.string()),
            "changed": pa.int32(),
            "explanation": pa.string(),
            "record": pa.string(),
            "text": vector,
            "caption_text": _list_of(vector),
            "llm": pa.string(),
            "prompt": pa.string(),
            "segment_ends": _list_of(pa.int32()),
            "segment_records": _list_of(pa.string()),
            "segment_text": _list_of(pa.float32()),
        }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def feature_rows(table: pa.Table, column: str) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the vectors of each row of a feature column, without copying.

    Yields:
        Float16 [t, D] views; t is 1 for the column `text`.
    """
    for chunk in table[column].chunks:
        matrix = _feature_matrix(chunk)
        if pa.types.is_list(chunk.type):
            ends = np.cumsum(chunk.value_lengths().to_numpy(zero_copy_only=False))
        else:
            ends = np.arange(1, len(chunk) + 1)
        starts = np.concatenate([[0], ends[:-1]])
        yield from (matrix[start:end] for start, end in zip(starts, ends, strict=True))


def _feature_matrix(column: pa.ListArray | pa.FixedSizeListArray) -> np.ndarray[Any, Any]:
    """Return all vectors of a feature column as one float16 [Σt, D] array, without copying."""
    vectors = column if pa.types.is_fixed_size_list(column.type) else column.flatten()
    flat = vectors.flatten().to_numpy(zero_copy_only=True)
    matrix: np.ndarray[Any, Any] = flat.reshape(len(vectors), vectors.type.list_size)
    return matrix


def _list_of(item: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", item, nullable=False))
