"""The read-ahead of files in buckets: the same bytes as the file, in few and large requests."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.storage.errors import StorageError
from exvad.data.storage.remote.reading import RANDOM, SEQUENTIAL, RangeReader, ReadAhead

CONTENT = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
AHEADS = [ReadAhead(16, 128, 2), ReadAhead(100, 100, 1), ReadAhead(64, 64, 0)]


def fetch(start: int, end: int) -> bytes:
    """Return bytes of the content; the reader asks for no others."""
    assert 0 <= start < end <= len(CONTENT)
    return CONTENT[start:end]


STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "seek", "skip", "end"]), st.integers(0, len(CONTENT) + 100)),
    max_size=30,
)


@pytest.mark.parametrize("ahead", AHEADS)
@given(steps=STEPS)
@settings(deadline=None, max_examples=50)
def test_a_reader_behaves_like_a_file(ahead: ReadAhead, steps: list[tuple[str, int]]) -> None:
    file = io.BytesIO(CONTENT)
    with RangeReader(len(CONTENT), fetch, ahead) as reader:
        for step, number in steps:
            if step == "read":
                assert reader.read(number) == file.read(number)
            elif step == "seek":
                assert reader.seek(number) == file.seek(number)
            elif step == "skip":
                assert reader.seek(number, io.SEEK_CUR) == file.seek(number, io.SEEK_CUR)
            else:
                assert reader.seek(-number, io.SEEK_END) == file.seek(-number, io.SEEK_END)
            assert reader.tell() == file.tell()
        reader.seek(0)
        assert reader.read() == CONTENT
        assert reader.read(1) == b""
        assert reader.readinto(bytearray(4)) == 0


def test_reading_on_requests_growing_ranges_ahead() -> None:
    ranges: list[tuple[int, int]] = []

    def note(start: int, end: int) -> bytes:
        ranges.append((start, end))
        return fetch(start, end)

    with RangeReader(len(CONTENT), note, ReadAhead(16, 128, 2)) as reader:
        assert b"".join(iter(lambda: reader.read(10), b"")) == CONTENT
    ranges.sort()
    assert [end for _, end in ranges[:-1]] == [start for start, _ in ranges[1:]]
    lengths = [end - start for start, end in ranges]
    assert lengths[:4] == [16, 64, 128, 128]
    assert sum(lengths) == len(CONTENT)


def test_a_look_at_the_beginning_and_the_end_requests_little() -> None:
    ranges: list[tuple[int, int]] = []
    size = 100 * SEQUENTIAL.largest

    def note(start: int, end: int) -> bytes:
        ranges.append((start, end))
        return bytes(end - start)

    with RangeReader(size, note, SEQUENTIAL) as reader:
        reader.read(32)
        reader.seek(-1000, io.SEEK_END)
        reader.read()
        reader.seek(32)
        reader.read(1000)
    assert ranges == [(0, SEQUENTIAL.first), (size - 1000, size)]
    ranges.clear()
    with RangeReader(size, note, RANDOM) as reader:
        for start in (0, 8, 16, size // 2):
            reader.seek(start)
            reader.read(8)
    assert ranges == [(0, RANDOM.first), (size // 2, size // 2 + RANDOM.first)]


def test_the_next_ranges_arrive_while_one_is_read() -> None:
    delay, count = 0.1, 12

    def slow(start: int, end: int) -> bytes:
        time.sleep(delay)
        return bytes(end - start)

    ahead = ReadAhead(1000, 1000, 2)
    begin = time.monotonic()
    with RangeReader(1000 * count, slow, ahead) as reader:
        while reader.read(100):
            continue
    assert time.monotonic() - begin < 0.8 * delay * count


@pytest.mark.parametrize("ahead", AHEADS)
def test_an_error_is_raised_where_it_is_read_and_kept(ahead: ReadAhead) -> None:
    def broken(start: int, end: int) -> bytes:
        if end > 1000:
            raise StorageError("s3://b/a", "503")
        return fetch(start, end)

    with RangeReader(len(CONTENT), broken, ahead) as reader:
        with pytest.raises(StorageError, match="s3://b/a: 503"):
            list(iter(lambda: reader.read(10), b""))
        assert reader.error is not None
        reader.seek(0)
        assert reader.read(10) == CONTENT[:10]


def test_a_closed_reader_leaves_no_threads() -> None:
    before = threading.active_count()
    for _ in range(5):
        with RangeReader(len(CONTENT), fetch, AHEADS[0]) as reader:
            reader.read(500)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
