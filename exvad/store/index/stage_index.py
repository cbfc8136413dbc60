"""Which rows a stage holds, and in which of its files, without reading the rows.

k entries of the stage · v videos that are asked about
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.storage.errors import StorageError
from exvad.store.index.key_rows import (
    ENTRY,
    KEY_COLUMNS,
    MAX_CROPS,
    Entries,
    decode_entries,
    split_entries,
    table_entries,
)
from exvad.store.index.snapshot import LargePart, Snapshot, take_snapshot
from exvad.store.index.spread import IN_THREADS, Spread, over_threads
from exvad.store.parts import WHOLE, CorruptPartError, PartFolder, Piece, part_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.store.schema import StageName

FILES_PER_CALL = 64
_FILES = over_threads(8)
_TRIES = 20

Located = tuple["NDArray[np.int32]", Entries]  # the row group of each entry, and the entries


class StageIndex:
    """The keys of the rows of a stage, in 40 bytes per chunk of a video.

    They come from the names of the files, from the small files beside large parts and, only where
    there is neither, from the columns of the parts.

    Args:
        stage: the name of the stage.
        folder: its folder.
        digest: `settings_digest` of its settings.
        spread: how the reading is spread.

    Attributes:
        snapshot: the files that counted when they were looked at.
    """

    def __init__(
        self, stage: StageName, folder: PartFolder, digest: str, spread: Spread = IN_THREADS
    ) -> None:
        self.stage, self.folder, self.digest, self.spread = stage, folder, digest, spread
        self.snapshot = Snapshot(0, (), (), ())
        self._located: dict[str, Located] = {}
        self._files: list[str] = []
        self._file_k: NDArray[np.int32] = np.empty(0, np.int32)
        self._group_k: NDArray[np.int32] = np.empty(0, np.int32)
        self.entries_k: Entries = np.empty(0, ENTRY)  # by video, chunk, and what counts first
        self.refresh()

    def refresh(self) -> None:
        """Look at the files again; only new ones are read.

        Raises:
            CorruptPartError: a file is damaged.
            StorageError: storage does not answer.
        """
        for _ in range(_TRIES):
            snapshot = take_snapshot(self.folder, self.digest)
            try:
                self._locate(snapshot)
            except FileNotFoundError:
                continue  # a compaction has put its rows elsewhere
            self.snapshot = snapshot
            self._sort()
            return
        raise StorageError(self.folder.path, "its parts are merged again and again; run again")

    def ranges(self, codes_v: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where the entries of videos begin and end in `entries_k`, [v] each."""
        video_k = self.entries_k["video"]
        return np.searchsorted(video_k, codes_v, "left"), np.searchsorted(video_k, codes_v, "right")

    def pieces(self, codes_v: NDArray[np.uint64]) -> Iterator[list[Piece]]:
        """Yield the pieces that hold rows of each video, in the order in which they count."""
        starts_v, ends_v = self.ranges(codes_v)
        for start, end in zip(starts_v.tolist(), ends_v.tolist(), strict=True):
            found = zip(
                self._file_k[start:end].tolist(), self._group_k[start:end].tolist(), strict=True
            )
            yield [Piece(self._files[file], group) for file, group in sorted(set(found))]

    def pieces_of_any(self, codes_v: NDArray[np.uint64]) -> list[Piece]:
        """Return the pieces that hold rows of any of these videos, each once, in their order."""
        wanted = np.isin(self.entries_k["video"], codes_v)
        places = np.unique(np.stack([self._file_k[wanted], self._group_k[wanted]]), axis=1)
        return [Piece(self._files[file], group) for file, group in places.T.tolist()]

    def _locate(self, snapshot: Snapshot) -> None:
        """Find the entries of the files of a snapshot."""
        located: dict[str, Located] = {}
        unknown: list[LargePart | str] = [
            part for part in snapshot.large if part.name not in self._located
        ]
        for name in snapshot.parts:
            if name not in self._located:
                rows = decode_entries(self.stage, part_label(name))
                if rows:
                    located[name] = np.full(len(rows), WHOLE, np.int32), np.array(rows, ENTRY)
                else:
                    unknown.append(name)
        batches = [unknown[i : i + FILES_PER_CALL] for i in range(0, len(unknown), FILES_PER_CALL)]
        if batches:
            spread = self.spread if len(batches) > 1 else IN_THREADS
            for found in spread(partial(read_keys, self.stage, self.folder), batches):
                located |= found
        self._located |= located
        self._located = {name: self._located[name] for name in snapshot.files}

    def _sort(self) -> None:
        self._files = list(self._located)
        found = list(self._located.values())
        lengths = [len(entries) for _, entries in found]
        file_k = np.repeat(np.arange(len(found), dtype=np.int32), lengths)
        group_k = np.concatenate([np.empty(0, np.int32), *(groups for groups, _ in found)])
        entries_k = np.concatenate([np.empty(0, ENTRY), *(entries for _, entries in found)])
        order_k = np.lexsort((group_k, file_k, entries_k["chunk"], entries_k["video"]))
        self._file_k, self._group_k = file_k[order_k], group_k[order_k]
        self.entries_k = entries_k[order_k]


def read_keys(
    stage: StageName, folder: PartFolder, files: Sequence[LargePart | str]
) -> dict[str, Located]:
    """Read the entries of files whose names don't have them.

    Args:
        stage: the name of the stage.
        folder: its folder.
        files: large parts, and names of other parts.

    Raises:
        FileNotFoundError: a file is gone.
        CorruptPartError: a file is damaged.
    """
    names = [file.name if isinstance(file, LargePart) else file for file in files]
    return dict(zip(names, _FILES(partial(_read_file, stage, folder), files), strict=True))


def _read_file(stage: StageName, folder: PartFolder, file: LargePart | str) -> Located:
    if isinstance(file, str):
        return _read_columns(stage, folder, [Piece(file)])
    data = folder.read_bytes(file.keys_name)
    if data is None:
        return _read_columns(stage, folder, file.pieces())
    try:
        table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
        return split_entries(table)
    # Another table has columns that are no numbers.
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CorruptPartError(
            f"{folder.file_path(file.keys_name)} cannot be read ({reason}). Delete it and run "
            "again."
        ) from error


def _read_columns(stage: StageName, folder: PartFolder, pieces: Sequence[Piece]) -> Located:
    found = []
    for piece in pieces:
        table = folder.read_part(piece.name, KEY_COLUMNS[stage], piece.group)
        entries = table_entries(stage, table)
        if entries is None:
            raise CorruptPartError(
                f"{folder.file_path(piece.name)} has crops above {MAX_CROPS - 1}: it is not part "
                "of this store. Move it elsewhere."
            )
        found.append((np.full(len(entries), piece.group, np.int32), entries))
    return np.concatenate([g for g, _ in found]), np.concatenate([e for _, e in found])
