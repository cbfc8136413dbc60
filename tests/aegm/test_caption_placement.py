"""Captions go where a first look finds something, and half of them stay at even distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.aegm.caption_placement import best_of_cells, novelty
from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.vision_stage import choose_captioned_snippets, place_captions
from exvad.video.chunks import Chunk


def task_of(length: int, captions: int, first: int = 0) -> ChunkTask:
    """Return a chunk of which every other caption may move."""
    chunk = Chunk("v", "v.mp4", 0, first, 16 * first, 16, (0.0,) * length, ())
    captioned = [first + snippet for snippet in choose_captioned_snippets(length, captions)]
    return ChunkTask(chunk, 1, 16 * length, 30.0, tuple(captioned), movable=tuple(captioned[1::2]))


@settings(deadline=None)
@given(st.integers(2, 80), st.integers(1, 20), st.integers(0, 999), st.integers(0, 99))
def test_place_captions_keeps_the_number_and_the_even_share(
    length: int, captions: int, first: int, seed: int
) -> None:
    visual_tD = np.random.default_rng(seed).normal(size=(length, 6)).astype(np.float16)
    task = task_of(length, captions, first)
    placed = place_captions(task, visual_tD)
    assert set(task.at_even_places().captioned) <= set(placed.captioned)
    assert len(placed.captioned) == len(set(placed.captioned)) == len(task.captioned)
    assert list(placed.captioned) == sorted(placed.captioned)
    assert all(first <= snippet < first + length for snippet in placed.captioned)
    assert placed.movable == ()
    assert place_captions(placed, visual_tD) == placed


def test_place_captions_finds_a_short_event_that_even_places_miss() -> None:
    visual_tD = np.tile(np.array([1.0, 0.0, 0.0], np.float16), (64, 1))
    visual_tD[35:38] = [0.0, 1.0, 0.0]
    task = task_of(64, 4)
    assert not {35, 36, 37} & set(task.captioned)
    assert {35, 36, 37} & set(place_captions(task, visual_tD).captioned)


def test_novelty_is_large_where_a_snippet_differs_from_the_usual_scene() -> None:
    usual_D = np.array([2.0, 0.0])
    novelty_t = novelty(np.array([[1.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]]), usual_D)
    np.testing.assert_allclose(novelty_t, [0, 1, 2, 1], atol=1e-6)


def test_best_of_cells_gives_one_free_snippet_per_cell_from_the_best() -> None:
    scores_t = np.array([1.0, 9.0, 3.0, 3.0, 0.0, 5.0, 7.0, 7.0])
    # Snippets 10 to 17 in cells 9-11, 12-14 and 15-17, of which 11 is captioned.
    assert best_of_cells(scores_t, 10, 3, [11]) == [(7.0, 16), (3.0, 12), (1.0, 10)]


def test_task_with_movable_captions_survives_the_way_between_processes() -> None:
    task = task_of(9, 4)
    assert task.movable
    assert ChunkTask.from_row(task.to_row()) == task
    assert task.at_even_places() == replace(task, captioned=task.captioned[::2], movable=())
