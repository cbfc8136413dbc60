"""What a row of each stage of the feature store holds, and the checks it must pass to get in.

D is the width of the CLIP features; t snippets and c captions are those of one row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

StageName = Literal["captions", "vision", "language"]

KEYS: dict[StageName, tuple[str, ...]] = {
    "captions": ("video_id", "snippet"),
    "vision": ("video_id", "chunk", "crop"),
    "language": ("video_id",),
}
# The column whose vectors tell D, and every other column that must agree with it, if any.
FEATURES: dict[StageName, tuple[str, ...]] = {
    "captions": (),
    "vision": ("visual",),
    "language": ("text", "caption_text"),
}


def _list(item: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", item, nullable=False))


def stage_schema(stage: StageName, width: int) -> pa.Schema:
    """The Arrow schema of a stage whose features are `width` (D) wide."""
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
            "visual": _list(vector),
            "times": _list(pa.float64()),
            "caption_snippets": _list(pa.int32()),
            "captions": _list(pa.string()),
            "num_frames": pa.int64(),
            "fps": pa.float64(),
        }
    else:
        columns = {
            "video_id": pa.string(),
            "captions": _list(pa.string()),
            "caption_snippets": _list(pa.int32()),
            "cleaned_captions": _list(pa.string()),
            "changed": pa.int32(),
            "explanation": pa.string(),
            "record": pa.string(),
            "text": vector,
            "caption_text": _list(vector),
            "llm": pa.string(),
            "prompt": pa.string(),
        }
    return pa.schema([pa.field(n, kind, nullable=False) for n, kind in columns.items()])


def build_table(
    stage: StageName, rows: Sequence[Mapping[str, Any]] | pa.Table, width: int | None
) -> tuple[pa.Table, int | None]:
    """Turn rows into a checked table of the stage's schema.

    Args:
        stage: which schema.
        rows: mappings from column to value (feature columns: anything numpy takes, [t, D] or [D]),
            or a table whose columns can be cast. At least one row.
        width: D of the stage, or None to take it from the first row.

    Returns:
        The table and D, None for a stage without features.

    Raises:
        ValueError: a column is missing, unknown or of the wrong kind, a feature vector is of
            another width, not finite in float16 or all zeros, or lengths within a row disagree;
            the message names the row.
    """
    if isinstance(rows, pa.Table):
        rows = _table_rows(stage, rows)
    names = list(stage_schema(stage, 1).names)
    for row in rows:
        if set(row) != set(names):
            missing, unknown = sorted(set(names) - set(row)), sorted(set(row) - set(names))
            raise ValueError(
                f"{_name(stage, row)}: missing columns {missing}, unknown columns {unknown}"
            )
    if width is None and FEATURES[stage]:
        width = _vectors(stage, rows[0], FEATURES[stage][0], None).shape[1]
    schema = stage_schema(stage, width or 1)
    arrays = []
    for field in schema:
        values = [row[field.name] for row in rows]
        if field.name in FEATURES[stage]:
            vectors = [_vectors(stage, row, field.name, width) for row in rows]
            arrays.append(_feature_array(vectors, field.type))
            continue
        values = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
        try:
            arrays.append(pa.array(values, type=field.type))
        except (pa.ArrowException, TypeError, OverflowError) as problem:
            row = next((r for r in rows if not _fits(r[field.name], field.type)), rows[0])
            raise ValueError(f"{_name(stage, row)}: {field.name}: {problem}") from problem
    table = pa.Table.from_arrays(arrays, schema=schema)
    check = {
        "captions": _check_caption,
        "vision": _check_vision,
        "language": _check_language,
    }[stage]
    for row, plain in zip(rows, table.drop_columns(list(FEATURES[stage])).to_pylist(), strict=True):
        counts = {column: len(row[column]) for column in FEATURES[stage]}
        complaint = _null(plain) or check(plain, counts)
        if complaint:
            raise ValueError(f"{_name(stage, row)}: {complaint}")
    return table, width


def feature_matrix(column: pa.ListArray | pa.FixedSizeListArray) -> np.ndarray[Any, Any]:
    """All vectors of a feature column as one float16 [Σt, D] array, without copying."""
    vectors = column if pa.types.is_fixed_size_list(column.type) else column.flatten()
    flat = vectors.flatten().to_numpy(zero_copy_only=True)
    matrix: np.ndarray[Any, Any] = flat.reshape(len(vectors), vectors.type.list_size)
    return matrix


def feature_rows(table: pa.Table, column: str) -> Iterator[np.ndarray[Any, Any]]:
    """The vectors of each row of a feature column as float16 [t, D] views (t = 1 for `text`)."""
    for chunk in table[column].chunks:
        matrix = feature_matrix(chunk)
        if pa.types.is_list(chunk.type):
            ends = np.cumsum(chunk.value_lengths().to_numpy(zero_copy_only=False))
        else:
            ends = np.arange(1, len(chunk) + 1)
        starts = np.concatenate([[0], ends[:-1]])
        yield from (matrix[start:end] for start, end in zip(starts, ends, strict=True))


def _table_rows(stage: StageName, table: pa.Table) -> list[dict[str, Any]]:
    features = [name for name in FEATURES[stage] if name in table.column_names]
    rows: list[dict[str, Any]] = table.drop_columns(features).to_pylist()
    for name in features:
        column = table[name]
        vector = column.type.value_type if pa.types.is_list(column.type) else column.type
        if pa.types.is_fixed_size_list(vector) and not column.null_count:
            values = [_scalar_matrix(scalar) for scalar in column]
        else:
            values = column.to_pylist()
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def _scalar_matrix(scalar: Any) -> np.ndarray[Any, Any]:
    vectors = scalar.values
    if not pa.types.is_fixed_size_list(vectors.type):
        return np.asarray(vectors.to_numpy(zero_copy_only=False))
    flat = np.asarray(vectors.flatten().to_numpy(zero_copy_only=False))
    return flat.reshape(-1, vectors.type.list_size)


def _name(stage: StageName, row: Mapping[str, Any]) -> str:
    return f"{stage} row ({', '.join(f'{k}={row.get(k)!r}' for k in KEYS[stage])})"


def _fits(value: Any, kind: pa.DataType) -> bool:
    plain = value.tolist() if isinstance(value, np.ndarray) else value
    try:
        pa.array([plain], type=kind)
    except (pa.ArrowException, TypeError, OverflowError):
        return False
    return True


def _vectors(
    stage: StageName, row: Mapping[str, Any], column: str, width: int | None
) -> np.ndarray[Any, Any]:
    where = f"{_name(stage, row)}: {column}"
    try:
        with np.errstate(over="ignore"):
            value = np.asarray(row[column])
            # A ragged numpy column (as Ray Data hands out) is an array of row arrays.
            value = np.stack(list(value)) if value.dtype == object and len(value) else value
            vectors = value.astype(np.float16)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{where} is not a rectangle of numbers ({problem})") from problem
    if column == "caption_text" and vectors.size == 0:
        return np.empty((0, width or 0), np.float16)
    if vectors.ndim != (1 if column == "text" else 2) or vectors.size == 0:
        expected = "[D]" if column == "text" else "[at least 1, D]"
        raise ValueError(f"{where} has shape {list(vectors.shape)}, expected {expected}")
    vectors = np.atleast_2d(vectors)
    if width is not None and vectors.shape[1] != width:
        raise ValueError(
            f"{where} is {vectors.shape[1]} wide, but the features of this stage are {width} wide: "
            "another encoder made it"
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"{where}[{int(np.argmin(finite))}] is not finite in float16")
    alive = vectors.any(axis=1)
    if not alive.all():
        raise ValueError(f"{where}[{int(np.argmin(alive))}] is all zeros")
    return vectors


def _feature_array(vectors: list[np.ndarray[Any, Any]], kind: pa.DataType) -> pa.Array:
    flat = pa.array(np.concatenate(vectors).ravel())
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    values = pa.FixedSizeListArray.from_arrays(flat, type=kind.value_type)
    offsets = np.cumsum([0, *map(len, vectors)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def _null(row: Mapping[str, Any]) -> str | None:
    for column, value in row.items():
        if value is None or (isinstance(value, list) and None in value):
            return f"{column} holds a null"
    return None


def _check_caption(row: Mapping[str, Any], counts: Mapping[str, int]) -> str | None:
    del counts
    if not row["video_id"]:
        return "video_id is empty"
    return None if row["snippet"] >= 0 else f"snippet is {row['snippet']}"


def _check_vision(row: Mapping[str, Any], counts: Mapping[str, int]) -> str | None:
    snippets = counts["visual"]
    first, stop = row["first_snippet"], row["first_snippet"] + snippets
    if not row["video_id"]:
        return "video_id is empty"
    if not 0 <= row["chunk"] < row["num_chunks"]:
        return f"chunk {row['chunk']} is not one of num_chunks {row['num_chunks']}"
    if row["crop"] < 0 or first < 0 or (row["chunk"] == 0) != (first == 0):
        return f"crop {row['crop']} or first_snippet {first} is impossible for this chunk"
    if len(row["times"]) != snippets or not np.isfinite(row["times"]).all():
        return f"times must be {snippets} finite numbers, one per snippet"
    if len(row["captions"]) != len(row["caption_snippets"]):
        return f"{len(row['captions'])} captions, {len(row['caption_snippets'])} caption_snippets"
    if any(not first <= snippet < stop for snippet in row["caption_snippets"]):
        return f"caption_snippets must be global snippet numbers in {first}…{stop - 1}"
    if row["num_frames"] < 1 or not 0 < row["fps"] < float("inf"):
        return f"num_frames {row['num_frames']} or fps {row['fps']} is impossible"
    return None


def _check_language(row: Mapping[str, Any], counts: Mapping[str, int]) -> str | None:
    count = len(row["captions"])
    lengths: dict[str, int] = {
        "caption_snippets": len(row["caption_snippets"]),
        "cleaned_captions": len(row["cleaned_captions"]),
        "caption_text": counts["caption_text"],
    }
    for column, length in lengths.items():
        if length != count:
            return f"{count} captions but {length} {column}"
    if not row["video_id"]:
        return "video_id is empty"
    if not 0 <= row["changed"] <= count:
        return f"changed is {row['changed']} of {count} captions"
    if any(snippet < 0 for snippet in row["caption_snippets"]):
        return "caption_snippets holds a negative number"
    try:
        record = json.loads(row["record"])
    except json.JSONDecodeError as problem:
        return f"record is not JSON ({problem})"
    return None if isinstance(record, dict) else "record is not a JSON object"
