"""Fragments are placed in time by their bytes alone, and broken ones are refused."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from exvad.video.footage.mp4_boxes import BoxError, place_fragment, read_timescale, split_file
from tests.helpers.recordings import record, show
from tests.helpers.videos import write_video


def test_a_fragment_is_shown_at_the_time_of_its_place(tmp_path: Path) -> None:
    fragments, _ = record(write_video(tmp_path / "clip.ts", 30, gop=30))
    head, data = fragments[0].head, fragments[0].data
    scale = read_timescale(head)
    assert show(head + place_fragment(data, 1, 7 * scale))[0][1] == 7.0
    assert split_file(head + data) == (head, data)


def test_nonsense_is_refused(tmp_path: Path) -> None:
    fragments, _ = record(write_video(tmp_path / "clip.ts", 30, gop=30))
    head, data = fragments[0].head, fragments[0].data
    with pytest.raises(BoxError, match="no fragment"):
        split_file(head)
    choose = random.Random(0)
    for _ in range(300):
        broken = bytearray(data[:200])
        for _ in range(3):
            broken[choose.randrange(len(broken))] = choose.randrange(256)
        for read in (read_timescale, lambda content: place_fragment(content, 1, 0)):
            with contextlib.suppress(BoxError):
                read(bytes(broken[: choose.randrange(len(broken))]))
