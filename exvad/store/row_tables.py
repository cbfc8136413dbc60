"""Convert rows to Arrow tables of a stage's schema, and validate every row.

t snippets, or for a language row c captions, of one row · D feature width
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from exvad.store.schema import FEATURES, KEYS, OPTIONAL, StageName, stage_schema

Row = Mapping[str, Any]
_Array = np.ndarray[Any, Any]


def build_table(
    stage: StageName, rows: Sequence[Row] | pa.Table, width: int | None
) -> tuple[pa.Table, int | None]:
    """Convert rows to a valid table of the stage's schema.

    Args:
        stage: which schema.
        rows: mappings from column to value (feature columns: anything numpy accepts, [t, D] or
            [D]), or a table whose columns can be cast. At least one row.
        width: D of the stage, or None to take it from the first row.

    Returns:
        The table and D; D is None for a stage without features.

    Raises:
        ValueError: a column is missing, unknown or of the wrong type, a feature vector is of
            another width, not finite in float16 or all zeros, or lengths within a row disagree;
            the message names the row.
    """
    if isinstance(rows, pa.Table):
        rows = _rows_of(stage, rows)
    absent: Row = {name: [] for name in OPTIONAL[stage]}
    rows = [{**absent, **row} for row in rows]
    _check_columns(stage, rows)
    if width is None and FEATURES[stage]:
        width = _vectors(stage, rows[0], FEATURES[stage][0], None).shape[1]
    schema = stage_schema(stage, width or 1)
    arrays = [
        _feature_array(stage, rows, field, width)
        if field.name in FEATURES[stage]
        else _plain_array(stage, rows, field)
        for field in schema
    ]
    table = pa.Table.from_arrays(arrays, schema=schema)
    plain_rows = table.drop_columns(list(FEATURES[stage])).to_pylist()
    for row, plain in zip(rows, plain_rows, strict=True):
        lengths = {column: len(row[column]) for column in FEATURES[stage]}
        problem = _null_problem(plain) or _PROBLEMS[stage](plain, lengths)
        if problem:
            raise ValueError(f"{_describe(stage, row)}: {problem}")
    return table, width


def _rows_of(stage: StageName, table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table, feature vectors as numpy arrays where possible."""
    features = [column for column in FEATURES[stage] if column in table.column_names]
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


def _scalar_matrix(scalar: Any) -> _Array:
    vectors = scalar.values
    if not pa.types.is_fixed_size_list(vectors.type):
        return np.asarray(vectors.to_numpy(zero_copy_only=False))
    flat = np.asarray(vectors.flatten().to_numpy(zero_copy_only=False))
    return flat.reshape(-1, vectors.type.list_size)


def _check_columns(stage: StageName, rows: Sequence[Row]) -> None:
    columns = set(stage_schema(stage, 1).names)
    for row in rows:
        if set(row) != columns:
            missing, unknown = sorted(columns - set(row)), sorted(set(row) - columns)
            raise ValueError(
                f"{_describe(stage, row)}: missing columns {missing}, unknown columns {unknown}"
            )


def _plain_array(stage: StageName, rows: Sequence[Row], field: pa.Field) -> pa.Array:
    try:
        return pa.array([_plain(row[field.name]) for row in rows], type=field.type)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        row = next((row for row in rows if not _fits(row[field.name], field.type)), rows[0])
        raise ValueError(f"{_describe(stage, row)}: {field.name}: {error}") from error


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.array([_plain(value)], type=kind)
    except (pa.ArrowException, TypeError, OverflowError):
        return False
    return True


def _feature_array(
    stage: StageName, rows: Sequence[Row], field: pa.Field, width: int | None
) -> pa.Array:
    vectors = [_vectors(stage, row, field.name, width) for row in rows]
    flat = pa.array(np.concatenate(vectors).ravel())
    if pa.types.is_fixed_size_list(field.type):
        return pa.FixedSizeListArray.from_arrays(flat, type=field.type)
    values = pa.FixedSizeListArray.from_arrays(flat, type=field.type.value_type)
    offsets = np.cumsum([0, *map(len, vectors)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=field.type)


def _vectors(stage: StageName, row: Row, column: str, width: int | None) -> _Array:
    """Return the valid vectors of a row's feature column, float16 [t, D]."""
    where = f"{_describe(stage, row)}: {column}"
    try:
        with np.errstate(over="ignore"):
            value = np.asarray(row[column])
            # A ragged numpy column, as Ray Data returns it, is an array of arrays.
            value = np.stack(list(value)) if value.dtype == object and len(value) else value
            vectors_tD = value.astype(np.float16)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is not a rectangle of numbers ({error})") from error
    if column == "caption_text" and vectors_tD.size == 0:
        return np.empty((0, width or 0), np.float16)
    if vectors_tD.ndim != (1 if column == "text" else 2) or vectors_tD.size == 0:
        expected = "[D]" if column == "text" else "[at least 1, D]"
        raise ValueError(f"{where} has shape {list(vectors_tD.shape)}, expected {expected}")
    vectors_tD = np.atleast_2d(vectors_tD)
    if width is not None and vectors_tD.shape[1] != width:
        raise ValueError(
            f"{where} is {vectors_tD.shape[1]} wide, but the features of this stage are {width} "
            "wide: another encoder made it"
        )
    is_finite_t = np.isfinite(vectors_tD).all(axis=1)
    if not is_finite_t.all():
        raise ValueError(f"{where}[{int(np.argmin(is_finite_t))}] is not finite in float16")
    is_nonzero_t = vectors_tD.any(axis=1)
    if not is_nonzero_t.all():
        raise ValueError(f"{where}[{int(np.argmin(is_nonzero_t))}] is all zeros")
    return vectors_tD


def _describe(stage: StageName, row: Row) -> str:
    keys = ", ".join(f"{column}={row.get(column)!r}" for column in KEYS[stage])
    return f"{stage} row ({keys})"


def _null_problem(row: Row) -> str | None:
    for column, value in row.items():
        if value is None or (isinstance(value, list) and None in value):
            return f"{column} holds a null"
    return None


def _caption_problem(row: Row, lengths: Mapping[str, int]) -> str | None:
    assert not lengths, "the captions stage has no features"
    if not row["video_id"]:
        return "video_id is empty"
    return None if row["snippet"] >= 0 else f"snippet is {row['snippet']}"


def _vision_problem(row: Row, lengths: Mapping[str, int]) -> str | None:
    snippets = lengths["visual"]
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
        return f"caption_snippets must be snippet indices of the video in {first}…{stop - 1}"
    if len(row["clock"]) % 2 or not np.isfinite(row["clock"]).all():
        return "clock must be pairs of finite numbers"
    if row["num_frames"] < 1 or not 0 < row["fps"] < float("inf"):
        return f"num_frames {row['num_frames']} or fps {row['fps']} is impossible"
    return None


def _language_problem(row: Row, lengths: Mapping[str, int]) -> str | None:
    count = len(row["captions"])
    counts: dict[str, int] = {
        "caption_snippets": len(row["caption_snippets"]),
        "cleaned_captions": len(row["cleaned_captions"]),
        "caption_text": lengths["caption_text"],
    }
    for column, length in counts.items():
        if length != count:
            return f"{count} captions but {length} {column}"
    if not row["video_id"]:
        return "video_id is empty"
    if not 0 <= row["changed"] <= count:
        return f"changed is {row['changed']} of {count} captions"
    if any(snippet < 0 for snippet in row["caption_snippets"]):
        return "caption_snippets holds a negative number"
    return _record_problem("record", row["record"]) or _segment_problem(row, lengths["text"])


def _segment_problem(row: Row, width: int) -> str | None:
    ends, records, text = row["segment_ends"], row["segment_records"], row["segment_text"]
    if not ends and not records and not text:
        return None
    count = len(row["captions"])
    if not ends or ends[0] < 1 or ends[-1] != count or any(a >= b for a, b in pairwise(ends)):
        return f"segment_ends must ascend from 1 or more to {count}"
    if len(records) != len(ends):
        return f"{len(ends)} segment_ends but {len(records)} segment_records"
    if len(text) != width * len(ends) or not np.isfinite(text).all():
        return f"segment_text must be {len(ends)} times {width} finite numbers"
    problems = (_record_problem("segment_records", record) for record in records)
    return next(filter(None, problems), None)


def _record_problem(column: str, text: str) -> str | None:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        return f"{column} is not JSON ({error})"
    return None if isinstance(record, dict) else f"{column} is not a JSON object"


_PROBLEMS: dict[StageName, Callable[[Row, Mapping[str, int]], str | None]] = {
    "captions": _caption_problem,
    "vision": _vision_problem,
    "language": _language_problem,
}
