"""Which files of a stage count: the parts, and the large parts that compaction made of many.

A compaction writes large parts into the folder `compacted`, then a record, then deletes the small
parts. The newest record names the large parts that count and the small parts that they replace.
A record is written by a conditional request, so of two compactions at the same time one counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from exvad.store.parts import CorruptPartError, PartFolder, Piece

COMPACTED = "compacted"
KEYS_SUFFIX = ".keys"
RECORD_FORMAT = 1
_RECORD = re.compile(r"([0-9a-f]{12})-(\d{8})\.json")
_LARGE_PART = re.compile(r"[0-9a-f]{12}-(\d{8})-[0-9a-f]{16}\.(?:parquet|keys)")
_TRIES = 20


class LargePart(NamedTuple):
    """A part that a compaction wrote.

    Args:
        name: its name in the folder of the stage.
        groups: number of row groups.
        size: bytes of its rows in memory.
    """

    name: str
    groups: int
    size: int

    @property
    def keys_name(self) -> str:
        """The name of the file with its keys."""
        return self.name.removesuffix(".parquet") + KEYS_SUFFIX

    def files(self) -> tuple[str, str]:
        """Return the names of its two files."""
        return self.name, self.keys_name

    def pieces(self) -> list[Piece]:
        """Return its row groups."""
        return [Piece(self.name, group) for group in range(self.groups)]


@dataclass(frozen=True)
class Snapshot:
    """The files that count at one moment. Of rows with the same key that of the first file counts.

    Args:
        generation: number of the newest compaction; 0 for none.
        large: the large parts; they come before all others.
        parts: names of the other parts, sorted.
        leftovers: names of files that do not count any more; they may be deleted.
    """

    generation: int
    large: tuple[LargePart, ...]
    parts: tuple[str, ...]
    leftovers: tuple[str, ...]

    @property
    def files(self) -> Iterator[str]:
        """The names of the files that count, in their order."""
        yield from (part.name for part in self.large)
        yield from self.parts

    def pieces(self) -> Iterator[Piece]:
        """Yield what there is to read, in the order in which it counts."""
        for part in self.large:
            yield from part.pieces()
        yield from map(Piece, self.parts)


def settings_digest(fingerprint: Mapping[str, Any]) -> str:
    """Return what the names of records and large parts begin with.

    A compaction that outlives `--fresh` does not bring rows of other settings back.
    """
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:12]


def record_name(digest: str, generation: int) -> str:
    """Return the name of a record in the folder of its stage."""
    return f"{COMPACTED}/{digest}-{generation:08d}.json"


def take_snapshot(folder: PartFolder, digest: str) -> Snapshot:
    """Look which files of a stage count.

    Args:
        folder: the folder of the stage.
        digest: `settings_digest` of its settings.

    Raises:
        CorruptPartError: a record is damaged.
        StorageError: storage does not answer.
    """
    for _ in range(_TRIES):
        # Parts are deleted after the record that replaces them was written. Whatever is missing
        # in this list because of that is in the record, which is looked for afterwards.
        parts = folder.part_names()
        listed = list_compacted(folder)
        generation = newest_generation(listed, digest)
        if generation == 0:
            return Snapshot(0, (), tuple(parts), tuple(_leftovers(listed, 0, (), digest)))
        record = _read_record(folder, record_name(digest, generation))
        if record is None:
            continue  # deleted because there is a newer one
        large: list[LargePart] = record["large"]
        if any(part.name not in listed for part in large):
            # A long list takes several requests, and a compaction may have come in between.
            listed = list_compacted(folder)
            if newest_generation(listed, digest) != generation:
                continue
        # What is still missing was deleted because it was damaged: its rows are computed again.
        present = tuple(part for part in large if part.name in listed)
        replaced = frozenset(record["replaced"])
        leftovers = [
            *(name for name in parts if name in replaced),
            *_leftovers(listed, generation, present, digest),
        ]
        counting = tuple(name for name in parts if name not in replaced)
        return Snapshot(generation, present, counting, tuple(leftovers))
    raise CorruptPartError(
        f"{folder.file_path(COMPACTED)}: the newest record can't be read; other jobs may be "
        "merging parts. Run again."
    )


def remove_rows(folder: PartFolder) -> None:
    """Delete all rows of a stage."""
    # Records first: a record without its large parts would hide that parts were deleted.
    listed = list_compacted(folder)
    records = sorted(name for name in listed if name.endswith(".json"))
    folder.remove(records)
    folder.remove(sorted(listed.difference(records)))
    folder.remove_parts()


def list_compacted(folder: PartFolder) -> set[str]:
    """Return the names of the files of compactions, in the folder of the stage."""
    return {f"{COMPACTED}/{name}" for name in (folder.place / COMPACTED).list_files()}


def newest_generation(listed: set[str], digest: str) -> int:
    """Return the largest number of a record with a digest; 0 without one."""
    found = (_RECORD.fullmatch(name.removeprefix(f"{COMPACTED}/")) for name in listed)
    return max((int(match[2]) for match in found if match and match[1] == digest), default=0)


def _leftovers(
    listed: set[str], generation: int, large: tuple[LargePart, ...], digest: str
) -> Iterator[str]:
    """Yield the files of compactions that do not count and never will."""
    kept = {name for part in large for name in part.files()}
    for name in sorted(listed - kept):
        plain = name.removeprefix(f"{COMPACTED}/")
        record, part = _RECORD.fullmatch(plain), _LARGE_PART.fullmatch(plain)
        # The record before the newest stays: a list may be read while another one is written. A
        # larger number is that of a compaction that may be running.
        is_old_record = record and record[1] == digest and int(record[2]) < generation - 1
        is_old_part = part and plain.startswith(digest) and int(part[1]) <= generation
        if is_old_record or is_old_part:
            yield name


def _read_record(folder: PartFolder, name: str) -> dict[str, Any] | None:
    data = folder.read_bytes(name)
    if data is None:
        return None
    try:
        record: dict[str, Any] = json.loads(data)
        if record["format"] != RECORD_FORMAT:
            raise ValueError(f"format {record['format']}, not {RECORD_FORMAT}")
        record["large"] = [LargePart(*row) for row in record["large"]]
        record["replaced"] = list(record["replaced"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptPartError(
            f"{folder.file_path(name)} is damaged ({error!r}). Restore it, or start over with "
            "`exvad preprocess --fresh`."
        ) from error
    return record
