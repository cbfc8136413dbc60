"""Examples of the network's input, and padded batches of them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.store.examples import collate, shorten, snippet_text
from exvad.store.feature_bank import VideoFeatures
from tests.helpers.planted import WIDTH, examples


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 20))
def test_shorten_averages_nearly_equal_shares(length: int, limit: int) -> None:
    rows = np.random.default_rng(length).normal(size=(length, 3)).astype(np.float32)
    short = shorten(rows, limit)
    assert len(short) == min(length, limit)
    if length > limit:
        edges = np.linspace(0, length, limit + 1).astype(int)
        literal = [rows[a:b].mean(0) for a, b in itertools.pairwise(edges)]
        np.testing.assert_allclose(short, literal, rtol=1e-4, atol=1e-5)
        assert set(np.diff(edges)) <= {length // limit, length // limit + 1}


def test_collate_pads_with_zeros_and_stores_the_lengths() -> None:
    videos = examples(3, seed=0)
    batch = collate(videos)
    for row, example in enumerate(videos):
        length = len(example.visual_TD)
        assert batch.lengths_B[row] == length
        assert (batch.visual_BTD[row, :length].numpy() == example.visual_TD).all()
        assert not batch.visual_BTD[row, length:].any()


def test_snippet_text_repeats_the_nearest_caption() -> None:
    caption_cD = np.eye(3, WIDTH, dtype=np.float16)
    features = VideoFeatures(
        "v", np.zeros((10, WIDTH), np.float16), np.arange(10.0), caption_cD, [1, 5, 8],
        ["a"] * 3, ["a"] * 3, "", None, 160, 10.0,
    )  # fmt: skip
    text = snippet_text(features)
    assert text is not None
    assert text.argmax(1).tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
