"""Matrices in memory and in a file: both are read as they were written."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.store.parts import UnwritableError
from exvad.store.shards.ragged import RaggedRows

WIDTH = 8


def matrices(lengths: list[int]) -> list[np.ndarray[tuple[int, int], np.dtype[np.float16]]]:
    rng = np.random.default_rng(len(lengths))
    return [rng.normal(size=(length, WIDTH)).astype(np.float16) for length in lengths]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12), st.floats(0, 1.2), st.integers(1, 4))
def test_read_returns_what_was_written_in_pieces_whatever_the_memory(
    lengths: list[int], share: float, piece: int
) -> None:
    written = matrices(lengths)
    size = sum(matrix.nbytes for matrix in written)
    rows = RaggedRows(lengths, WIDTH, int(share * size))
    for index in reversed(range(len(lengths))):
        for first in range(0, lengths[index], piece):
            rows.write(index, first, written[index][first : first + piece])
    assert len(rows) == len(lengths)
    assert size - rows.file_bytes <= share * size
    for index, matrix in enumerate(written):
        np.testing.assert_array_equal(rows.read(index), matrix)


def test_read_works_in_several_threads() -> None:
    written = matrices([50] * 40)
    rows = RaggedRows([50] * 40, WIDTH, memory_bytes=0)
    for index, matrix in enumerate(written):
        rows.write(index, 0, matrix)
    with ThreadPoolExecutor(8) as pool:
        for index, matrix in enumerate(pool.map(rows.read, range(40))):
            np.testing.assert_array_equal(matrix, written[index])


def test_file_has_no_name_so_that_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    rows = RaggedRows([4], WIDTH, 0, tmp_path)
    rows.write(0, 0, matrices([4])[0])
    assert rows.file_bytes == 4 * WIDTH * 2
    assert list(tmp_path.iterdir()) == []


def test_write_refuses_rows_of_the_next_matrix() -> None:
    rows = RaggedRows([4, 4], WIDTH, 0)
    with pytest.raises(ValueError, match="matrix 0 has no rows 3 to 4"):
        rows.write(0, 3, matrices([2])[0])


def test_full_disk_is_said_with_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = RaggedRows([4], WIDTH, 0, tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(UnwritableError, match=f"{tmp_path}: No space left on device; make room"):
        rows.write(0, 0, matrices([4])[0])
