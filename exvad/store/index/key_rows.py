"""The keys of stored rows in little space: as an array, in the name of a part, or in a small file.

k entries of a part or of a stage
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.schema import StageName

# One entry per chunk of a video in the vision stage, and one per video in the others.
ENTRY = np.dtype(
    [
        ("video", "u8"),  # see `video_code`
        ("crops", "u8"),  # bit n: crop n
        ("chunk", "u4"),
        ("first_snippet", "u4"),
        ("num_chunks", "u4"),
        ("snippets", "u4"),
    ]
)
MAX_CROPS = 64
KEY_COLUMNS: dict[StageName, tuple[str, ...]] = {
    "captions": ("video_id",),
    "vision": ("video_id", "chunk", "crop", "first_snippet", "num_chunks", "times"),
    "language": ("video_id",),
}

Entries = np.ndarray  # of `ENTRY`, [k]
_NUMBERS = ("crops", "chunk", "first_snippet", "num_chunks", "snippets")
_CODE_BYTES = 8


def video_code(video_id: str) -> int:
    """Return 64 bits of a hash that stand for a video: ids of any length fit into names of files.

    Two of 100,000 videos have the same code with a probability of 3 in 10 billion.
    """
    return int.from_bytes(hashlib.blake2b(video_id.encode(), digest_size=_CODE_BYTES).digest())


def video_codes(video_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the codes of different videos.

    Raises:
        ValueError: two of them have the same code.
    """
    codes = np.fromiter(map(video_code, video_ids), np.uint64, len(video_ids))
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    if (counts > 1).any():
        same = np.flatnonzero(codes == codes[first[counts > 1][0]])[:2]
        names = " and ".join(video_ids[index] for index in same)
        raise ValueError(f"the videos {names} can't be told apart by their codes: rename one")
    return codes


def table_entries(stage: StageName, table: pa.Table) -> Entries | None:
    """Return the entries of a table with the columns `KEY_COLUMNS`.

    Returns:
        The entries; None if a crop is too large for one.
    """
    names = table["video_id"].to_pylist()
    codes = {name: video_code(name) for name in dict.fromkeys(names)}
    if stage != "vision":
        entries = np.zeros(len(codes), ENTRY)
        entries["video"] = list(codes.values())
        return entries
    snippets = table["times"].combine_chunks().value_lengths().to_pylist()
    columns = [table[name].to_pylist() for name in ("chunk", "first_snippet", "num_chunks")]
    crops: dict[tuple[int, ...], int] = {}
    for name, crop, *plain in zip(
        names, table["crop"].to_pylist(), *columns, snippets, strict=True
    ):
        if not 0 <= crop < MAX_CROPS:
            return None
        key = (codes[name], *plain)
        crops[key] = crops.get(key, 0) | 1 << crop
    rows = [(video, mask, *plain) for (video, *plain), mask in crops.items()]
    return np.array(rows, ENTRY)


def encode_entries(stage: StageName, entries: Entries) -> str:
    """Return entries as text for the name of a file: letters, digits, `-` and `_`."""
    data = bytearray()
    for row in entries.tolist():
        data += row[0].to_bytes(_CODE_BYTES)
        if stage == "vision":
            for number in row[1:]:
                _append_number(data, number)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_entries(stage: StageName, text: str) -> list[tuple[int, ...]] | None:
    """Return the fields of the entries in a text of `encode_entries`; None if it is none."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        rows: list[tuple[int, ...]] = []
        position = 0
        while position < len(data):
            end = position + _CODE_BYTES
            if end > len(data):
                return None
            row = [int.from_bytes(data[position:end])]
            position = end
            for _ in _NUMBERS if stage == "vision" else ():
                number, position = _read_number(data, position)
                row.append(number)
            rows.append(tuple(row) if stage == "vision" else (row[0], 0, 0, 0, 0, 0))
    except (binascii.Error, IndexError):
        return None
    return rows


def entries_table(groups: Iterable[tuple[int, Entries]]) -> pa.Table:
    """Return entries as a table, with the row group of each."""
    pairs = list(groups)
    numbers = np.concatenate([np.full(len(rows), group, np.uint32) for group, rows in pairs])
    rows = np.concatenate([entries for _, entries in pairs])
    return pa.table({"group": numbers, **{name: rows[name] for name in ENTRY.names or ()}})


def split_entries(table: pa.Table) -> tuple[NDArray[np.int32], Entries]:
    """Return the row groups and the entries of a table of `entries_table`."""
    entries = np.zeros(len(table), ENTRY)
    for name in ENTRY.names or ():
        entries[name] = table[name].to_numpy()
    return table["group"].to_numpy().astype(np.int32), entries


def _append_number(data: bytearray, number: int) -> None:
    # Seven bits per byte, the lowest first; the eighth says that more follow.
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)


def _read_number(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
