"""Keys in the names of parts: what is written is read, and nothing else is taken for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.store.index.key_rows import (
    ENTRY,
    decode_entries,
    encode_entries,
    entries_table,
    split_entries,
    table_entries,
    video_code,
    video_codes,
)
from exvad.store.row_tables import build_table
from tests.helpers.feature_store import language_row, vision_row

NUMBERS = st.integers(0, 2**32 - 1)
CHUNKS = st.tuples(
    st.integers(0, 2**64 - 1), st.integers(1, 2**64 - 1), NUMBERS, NUMBERS, NUMBERS, NUMBERS
)


@given(st.lists(CHUNKS, max_size=20))
def test_entries_survive_the_way_through_a_name(rows: list[tuple[int, ...]]) -> None:
    text = encode_entries("vision", np.array(rows, ENTRY))
    assert decode_entries("vision", text) == rows
    assert all(letter.isalnum() or letter in "-_" for letter in text)


@given(st.text("abcXYZ019-_", max_size=60))
def test_decode_entries_answers_none_or_entries_for_any_text(text: str) -> None:
    rows = decode_entries("vision", text)
    assert rows is None or all(len(row) == 6 for row in rows)


def test_four_chunks_fit_into_a_name_of_any_file_system() -> None:
    rows = [vision_row(f"v{i}", chunk=i, num_chunks=300) for i in range(4)]
    table, _ = build_table("vision", rows, None)
    entries = table_entries("vision", table)
    assert entries is not None
    assert len(encode_entries("vision", entries)) <= 100


def test_table_entries_joins_the_crops_of_a_chunk() -> None:
    rows = [vision_row("a", crop=crop) for crop in (0, 3, 9)] + [vision_row("b", crop=1)]
    table, _ = build_table("vision", rows, None)
    entries = table_entries("vision", table)
    assert entries is not None
    expected = [(video_code("a"), 0b1000001001, 0, 0, 1, 4), (video_code("b"), 0b10, 0, 0, 1, 4)]
    assert entries.tolist() == expected
    far, _ = build_table("vision", [vision_row("a", crop=64)], None)
    assert table_entries("vision", far) is None


def test_table_entries_has_one_entry_per_explained_video() -> None:
    table, _ = build_table("language", [language_row("a"), language_row("b")], None)
    entries = table_entries("language", table)
    assert entries is not None
    assert entries["video"].tolist() == [video_code("a"), video_code("b")]
    rows = decode_entries("language", encode_entries("language", entries))
    assert rows == [(video_code(video), 0, 0, 0, 0, 0) for video in ("a", "b")]


def test_entries_survive_the_way_through_a_table() -> None:
    groups = [(0, np.array([(5, 1, 2, 3, 4, 6)], ENTRY)), (1, np.zeros(2, ENTRY))]
    numbers, entries = split_entries(entries_table(groups))
    assert numbers.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(entries, np.concatenate([rows for _, rows in groups]))


def test_video_codes_refuses_videos_that_cannot_be_told_apart() -> None:
    assert len(set(video_codes(["a", "b", "c"]).tolist())) == 3
    same: Any = ["a", "b", "a"]
    with pytest.raises(ValueError, match="the videos a and a can't be told apart"):
        video_codes(same)
