"""Length rules, batches and collation.

T snippets · L reduced length · D feature width
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from exvad.baselines.common.sampling import collate, draw_batches, reduce_length
from exvad.baselines.common.system import Recipe
from exvad.store.examples import Example

PAIRS = Recipe(videos=4, pairs=True, length="segments", snippets=3, learning_rate=1e-3, steps=5)


def rows(length: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.arange(length, dtype=np.float32)[:, None]


def test_segments_are_means_and_repeat_the_snippets_of_short_videos() -> None:
    assert reduce_length(rows(7), "segments", 3)[:, 0].tolist() == [0.5, 2.5, 5.0]
    assert reduce_length(rows(2), "segments", 5)[:, 0].tolist() == [0, 0, 0, 1, 1]


def test_mean_and_index_rules_shorten_only() -> None:
    for rule in ("mean", "index"):
        assert reduce_length(rows(4), rule, 5)[:, 0].tolist() == [0, 1, 2, 3]
    assert reduce_length(rows(7), "mean", 3)[:, 0].tolist() == [0.5, 2.5, 5.0]
    assert reduce_length(rows(7), "index", 3)[:, 0].tolist() == [0, 3, 6]


def test_pairs_have_equal_halves_and_start_again_where_they_end() -> None:
    abnormal_N = np.array([False] * 5 + [True] * 3)
    batches = list(islice(draw_batches(abnormal_N, PAIRS, 0), 12))
    for batch in batches:
        assert not abnormal_N[batch[:2]].any()
        assert abnormal_N[batch[2:]].all()
        assert len(set(batch.tolist())) == 4
    assert {index for batch in batches for index in batch.tolist()} == set(range(8))


def test_pairs_shrink_where_one_kind_is_rare() -> None:
    abnormal_N = np.array([False] * 5 + [True])
    (batch,) = islice(draw_batches(abnormal_N, PAIRS, 0), 1)
    assert abnormal_N[batch].tolist() == [False, True]


def test_mixed_batches_use_every_video_once_per_order() -> None:
    recipe = replace(PAIRS, pairs=False)
    batches = list(islice(draw_batches(np.zeros(8, bool), recipe, 0), 2))
    assert sorted(np.concatenate(batches).tolist()) == list(range(8))


@pytest.mark.parametrize("abnormal", [True, False])
def test_pairs_need_both_kinds(abnormal: bool) -> None:
    with pytest.raises(ValueError, match=r"0 (normal|abnormal)"):
        next(draw_batches(np.full(4, abnormal), PAIRS, 0))


def test_a_batch_needs_videos() -> None:
    with pytest.raises(ValueError, match="no training video"):
        next(draw_batches(np.zeros(0, bool), replace(PAIRS, pairs=False), 0))


def test_collate_reduces_text_as_it_reduces_images() -> None:
    target_C = np.eye(2, dtype=np.float32)[0]
    videos = [
        Example("a", rows(7), 2 * rows(7), target_C),
        Example("b", rows(2), rows(2), target_C),
    ]
    clips = collate(videos, PAIRS, [4, 9])
    assert clips.text is not None
    assert clips.text[0, :, 0].tolist() == [1, 5, 10]
    assert clips.lengths_B.tolist() == [3, 3]
    assert clips.videos_B.tolist() == [4, 9]
    padded = collate(videos)
    assert padded.visual_BTD.shape == (2, 7, 1)
    assert padded.valid_BT.sum(1).tolist() == [7, 2]


def test_collate_has_no_text_where_a_video_has_none() -> None:
    target_C = np.eye(2, dtype=np.float32)[0]
    videos = [Example("a", rows(3), rows(3), target_C), Example("b", rows(2), None, target_C)]
    assert collate(videos).text is None
