"""The feature store: what preprocessing has computed so far.

A store is a folder (a local path, or a URI such as `s3://bucket/folder`) with the stages `vision`
(one row per chunk and crop of a video) and `language` (one row per video), and a log of failures.
If the captioner runs in a stage of its own, there is also `captions` (one row per captioned
snippet). Any number of writers append concurrently. The content does not depend on how rows are
split into files.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from exvad.data.storage.errors import StorageError, reason_of
from exvad.data.storage.marks import UNMARKED, Marks
from exvad.data.storage.places import is_uri
from exvad.store.failures import FailureLog
from exvad.store.fingerprint import (
    STAGE_FILE,
    START_OVER,
    claim_stage,
    normalize_fingerprint,
    read_fingerprint,
)
from exvad.store.index.key_rows import encode_entries, table_entries, video_code
from exvad.store.index.snapshot import Snapshot, remove_rows, settings_digest, take_snapshot
from exvad.store.index.spread import IN_THREADS, Spread
from exvad.store.index.stage_index import StageIndex
from exvad.store.parts import PartFolder, Piece
from exvad.store.row_tables import build_table
from exvad.store.schema import (
    FEATURES,
    KEYS,
    StageName,
    feature_rows,
    optional_fields,
    stage_schema,
)

# The stage that the classes are part of: they change as labels are added, the features do not.
REMEDIES: dict[StageName, str] = {
    "language": "`exvad preprocess --fresh-explanations` to write the explanations only again"
}
_TRIES = 20
_Key = TypeVar("_Key", bound=Hashable)


def remaining(planned: Iterable[_Key], *finished: Collection[_Key]) -> list[_Key]:
    """Return what of `planned` is in none of `finished`, in the planned order, each key once."""
    done = set().union(*finished)
    return [key for key in dict.fromkeys(planned) if key not in done]


class Store:
    """A feature store.

    Args:
        root: local path or URI; the first write creates it.
        marks: what every process of a job looks for before it uses the store.
    """

    def __init__(self, root: str | Path, marks: Marks = UNMARKED) -> None:
        # Absolute, because workers may run in another folder.
        self.root = str(root) if is_uri(root) else str(Path(root).absolute())
        self.marks = marks
        self.failures = FailureLog(self.root)

    def stage(self, name: StageName, fingerprint: Mapping[str, Any], fresh: bool = False) -> Stage:
        """Create a stage, or open it for more rows of the same settings.

        Args:
            name: which stage.
            fingerprint: the settings that determine the content (model names, prompts, stride,
                crops, …), as anything JSON can represent.
            fresh: delete the stage's rows and failures first.

        Raises:
            FingerprintError: the stage has another fingerprint; the message names each difference.
            OtherVersionError: another version of exvad wrote the stage.
            ValueError: `fingerprint` has no JSON form, or `stage.json` is damaged, or missing
                although there are rows.
        """
        normalized = normalize_fingerprint(name, fingerprint)
        folder = PartFolder(self.root, name, optional_fields(name), self.marks)
        if fresh:
            # Rows first: after an interruption, the remaining rows still have their fingerprint.
            remove_rows(folder)
            self.failures.clear(stage=name)
        claim_stage(folder, normalized, overwrite=fresh, remedy=REMEDIES.get(name, START_OVER))
        return Stage(name, folder, normalized, writable=True)

    def has_stage(self, name: StageName) -> bool:
        """Return whether there is a stage.

        Raises:
            OtherVersionError: another version of exvad wrote it.
            ValueError: its `stage.json` is damaged.
        """
        return read_fingerprint(PartFolder(self.root, name, marks=self.marks)) is not None

    def read_stage(self, name: StageName) -> Stage:
        """Open an existing stage for reading.

        Raises:
            OtherVersionError: another version of exvad wrote the stage.
            ValueError: there is no such stage, or `stage.json` is damaged.
        """
        folder = PartFolder(self.root, name, optional_fields(name), self.marks)
        fingerprint = read_fingerprint(folder)
        if fingerprint is None:
            raise ValueError(
                f"{self.root} has no {name} stage (no {folder.file_path(STAGE_FILE)}): "
                "preprocess the videos first."
            )
        return Stage(name, folder, fingerprint, writable=False)


class Stage:
    """One stage of a store, from `Store.stage` or `Store.read_stage`; it can be pickled.

    If several rows have the same key, because a task was retried after its write, the row of the
    earliest part counts and the others are ignored.

    Attributes:
        name: which stage.
        fingerprint: the settings that determine its content.
        folder: the folder of its files.
        writable: whether rows may be added.
        settings_key: what the names of the files of compactions begin with.
    """

    def __init__(
        self, name: StageName, folder: PartFolder, fingerprint: dict[str, Any], writable: bool
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.folder = folder
        self.writable = writable
        self.settings_key = settings_digest(fingerprint)
        self._width: int | None = None

    @property
    def width(self) -> int | None:
        """D, the width of the features, or None while the stage is empty or if it has none."""
        if self._width is None and FEATURES[self.name]:
            self.learn_width(self.snapshot())
        return self._width

    def learn_width(self, snapshot: Snapshot) -> None:
        """Take the width of the features from the first of the files that count.

        Args:
            snapshot: from `snapshot`.

        Raises:
            CorruptPartError: the file is damaged.
        """
        for name in islice(snapshot.files, 1):
            with suppress(FileNotFoundError):
                self._part_width(name, self.folder.read_part(name, []))

    def snapshot(self) -> Snapshot:
        """Look which files count at this moment.

        Raises:
            CorruptPartError: a file that lists them is damaged.
            StorageError: storage does not answer.
        """
        return take_snapshot(self.folder, self.settings_key)

    def index(self, spread: Spread = IN_THREADS) -> StageIndex:
        """Find out which rows there are, without reading them.

        Args:
            spread: how the reading of keys is spread.

        Raises:
            CorruptPartError: a file is damaged.
            StorageError: storage does not answer.
        """
        return StageIndex(self.name, self.folder, self.settings_key, spread)

    def append(self, rows: Sequence[Mapping[str, Any]] | pa.Table) -> None:
        """Add rows as one new part file, atomically; without rows, no file.

        Args:
            rows: mappings, or a table, with exactly the columns of the stage (`schema.py`).

        Raises:
            ValueError: a row is invalid, see `build_table`, or the stage is open for reading only.
            OSError: the file cannot be written, such as on a full disk; nothing is left of it.
            StorageError: storage does not answer; the rows may be appended again.
        """
        if not self.writable:
            raise ValueError(f"stage {self.name} was opened for reading: use Store.stage to add")
        if not len(rows):
            return
        table, self._width = build_table(self.name, rows, self.width)
        try:
            self.folder.add_part(table, self._label(table))
        except OSError as error:
            raise OSError(
                error.errno or errno.EIO,
                f"stage {self.name}: {reason_of(error)}",
                error.filename,
            ) from error

    def keys(self) -> set[tuple[Any, ...]]:
        """Return the keys of all rows, such as (video_id, chunk, crop); reads nothing else."""
        tables = self.iter_tables(())
        return {key for table in tables for key in _row_keys(self.name, table)}

    def iter_tables(
        self,
        columns: Sequence[str] | None = None,
        video_ids: Collection[str] | None = None,
        index: StageIndex | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the rows piece by piece, each key once; memory holds a few pieces at most.

        Args:
            columns: which columns; the keys are always included. None for all.
            video_ids: rows of these videos only; None for all.
            index: where the rows of videos are, if that is known.

        Raises:
            CorruptPartError: a part file is damaged.
            ValueError: the features of a part have another width than the rest.
        """
        seen: set[tuple[Any, ...]] = set()
        videos = None if video_ids is None else frozenset(video_ids)
        for _ in range(_TRIES):
            try:
                yield from self.first_rows(self._pieces(videos, index), columns, videos, seen)
            except FileNotFoundError:
                if index is not None:
                    index.refresh()
                continue  # a compaction has put its rows elsewhere
            return
        raise StorageError(self.folder.path, "its parts are merged again and again; run again")

    def first_rows(
        self,
        pieces: Sequence[Piece],
        columns: Sequence[str] | None = None,
        videos: Collection[str] | None = None,
        seen: set[tuple[Any, ...]] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the rows of pieces, each key once: of rows with the same key the first one.

        Args:
            pieces: what to read.
            columns: which columns; the keys are always included. None for all.
            videos: rows of these videos only; None for all.
            seen: keys that are left out; those of the rows are added.

        Raises:
            FileNotFoundError: a piece is gone.
            CorruptPartError, ValueError: see `iter_tables`.
        """
        seen = set() if seen is None else seen
        wanted = None if columns is None else list(dict.fromkeys([*KEYS[self.name], *columns]))
        for piece, table in self.folder.read_pieces(pieces, wanted):
            if columns is None:
                self._check_keys(piece.name, table)
            self._part_width(piece.name, table)
            rows = []
            for index, key in enumerate(_row_keys(self.name, table)):
                if key not in seen and (videos is None or key[0] in videos):
                    seen.add(key)
                    rows.append(index)
            if rows:
                whole = len(rows) == table.num_rows
                yield table if whole else table.take(pa.array(rows, pa.int64()))

    def table(
        self, columns: Sequence[str] | None = None, video_ids: Collection[str] | None = None
    ) -> pa.Table:
        """Return the rows sorted by key, each key once, whatever files hold them.

        Args:
            columns: which columns, in this order; None for all.
            video_ids: rows of these videos only; None for all.

        Raises:
            CorruptPartError, ValueError: see `iter_tables`.
        """
        tables = list(self.iter_tables(columns, video_ids))
        if not tables:
            empty = stage_schema(self.name, self.width or 1).empty_table()
            return empty if columns is None else empty.select(list(columns))
        table = pa.concat_tables(tables)
        table = table.sort_by([(key, "ascending") for key in KEYS[self.name]])
        return table if columns is None else table.select(list(columns))

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the content: equal if and only if all rows are, bit for bit.

        It depends neither on the parts, their order and duplicate rows, nor on the fingerprint.
        """
        digests: dict[tuple[Any, ...], bytes] = {}
        for table in self.iter_tables():
            digests.update(_row_digests(self.name, table))
        total = hashlib.sha256(self.name.encode())
        for key in sorted(digests):
            total.update(digests[key])
        return total.hexdigest()

    def _pieces(self, videos: Collection[str] | None, index: StageIndex | None) -> list[Piece]:
        """Return what has to be read for the rows of videos, None for all."""
        if videos is None:
            return list(self.snapshot().pieces())
        index = index or self.index()
        codes = np.fromiter(map(video_code, videos), np.uint64, len(videos))
        return index.pieces_of_any(codes)

    def _label(self, table: pa.Table) -> str:
        """Return the keys of a part, for its name."""
        entries = table_entries(self.name, table)
        return "" if entries is None else encode_entries(self.name, entries)

    def _check_keys(self, name: str, table: pa.Table) -> None:
        missing = [column for column in KEYS[self.name] if column not in table.column_names]
        if missing:
            raise self.folder.foreign_part(name, missing[0])

    def _part_width(self, name: str, table: pa.Table) -> int | None:
        """Check a part's feature columns against the schema and the other parts; return D."""
        for column in FEATURES[self.name]:
            if column not in table.column_names:
                continue
            kind = table.schema.field(column).type
            vector = kind.value_type if pa.types.is_list(kind) else kind
            width = vector.list_size if pa.types.is_fixed_size_list(vector) else None
            self._width = self._width or width
            if width is None or width != self._width or kind != self._column_type(column, width):
                raise ValueError(
                    f"{self.folder.file_path(name)}: {column} is {kind}, not float16 features "
                    f"{self._width or 'D'} wide like the rest of the stage. Another encoder made "
                    "it: delete the file and run again, or start over with --fresh."
                )
        return self._width

    def _column_type(self, column: str, width: int) -> pa.DataType:
        return stage_schema(self.name, width).field(column).type


def _row_keys(stage: StageName, table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[column].to_pylist() for column in KEYS[stage]), strict=True)


def _row_digests(stage: StageName, table: pa.Table) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    plain = table.drop_columns(list(FEATURES[stage])).to_pylist()
    features = [feature_rows(table, column) for column in FEATURES[stage]]
    for row, *matrices in zip(plain, *features, strict=True):
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode())
        for matrix in matrices:
            digest.update(repr(matrix.shape).encode())
            digest.update(np.ascontiguousarray(matrix).data)
        yield tuple(row[key] for key in KEYS[stage]), digest.digest()
