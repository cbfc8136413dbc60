"""Windows of a few seconds: their snippets, features and captions.

T snippets · N windows · D feature width
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.evaluation.training_free.windows import (
    cut_windows,
    snippet_captions,
    window_features,
    window_texts,
)
from tests.helpers.captioned import FIRE, STREET, WALK, WordEncoder, captioned_video

Gaps = st.lists(st.floats(0.01, 5), min_size=0, max_size=30)


@settings(deadline=None, max_examples=40)
@given(gaps=Gaps, frames=st.integers(1, 12), every=st.integers(1, 5))
def test_windows_hold_exactly_the_snippets_of_their_seconds(
    gaps: list[float], frames: int, every: int
) -> None:
    times_T = np.cumsum([0.0, *gaps])
    windows = cut_windows(times_T, 10, frames, every)
    assert windows.centres_N[0] == 0
    assert windows.centres_N[-1] == len(gaps)
    assert np.diff(windows.centres_N).max(initial=1) <= every
    for centre, first, last in zip(windows.centres_N, windows.first_N, windows.last_N, strict=True):
        inside = np.flatnonzero(np.abs(times_T - times_T[centre]) <= 5 + 1e-6)
        assert (inside[0], inside[-1]) == (first, last)
    assert windows.rows_NM.shape == (len(windows.centres_N), frames)
    assert (windows.rows_NM >= windows.first_N[:, None]).all()
    assert (windows.rows_NM <= windows.last_N[:, None]).all()
    assert (np.diff(windows.rows_NM, axis=1) >= 0).all()


def test_windows_look_at_snippets_at_equal_distances() -> None:
    windows = cut_windows(np.arange(40) * 0.5, 10, 6, 20)
    np.testing.assert_array_equal(windows.rows_NM[1], [10, 14, 18, 22, 26, 30])


def test_window_features_are_mean_directions_of_all_their_snippets() -> None:
    rng = np.random.default_rng(0)
    visual_TD = rng.normal(size=(30, 5)) * rng.uniform(1, 9, (30, 1))
    windows = cut_windows(np.arange(30.0), 6, 3, 4)
    unit_TD = visual_TD / np.linalg.norm(visual_TD, axis=1, keepdims=True)
    for feature_D, first, last in zip(
        window_features(visual_TD, windows), windows.first_N, windows.last_N, strict=True
    ):
        mean_D = unit_TD[first : last + 1].mean(0)
        np.testing.assert_allclose(feature_D, mean_D / np.linalg.norm(mean_D), atol=1e-5)


def test_every_snippet_takes_the_caption_that_its_image_looks_like() -> None:
    scenes = [STREET] * 4 + [FIRE] * 4 + [WALK] * 4
    video = captioned_video(scenes, captioned=(0, 1, 11), captions=(FIRE, STREET, WALK))
    caption_T = snippet_captions(video, WordEncoder())
    assert [video.captions[index] for index in caption_T] == scenes


def test_without_cleaning_the_nearest_caption_in_time_counts() -> None:
    video = captioned_video([STREET] * 10, captioned=(2, 7), captions=(FIRE, WALK))
    caption_T = snippet_captions(video, WordEncoder(), clean=False)
    np.testing.assert_array_equal(caption_T, [0] * 5 + [1] * 5)


def test_window_texts_list_captions_in_time_without_repeats_in_a_row() -> None:
    video = captioned_video([STREET, STREET, FIRE, STREET, WALK])
    windows = cut_windows(video.times, 10, 5, 4)
    texts = window_texts(video, np.arange(5), windows.rows_NM)
    assert texts[0] == f"- {STREET}\n- {FIRE}\n- {STREET}\n- {WALK}"


def test_a_video_without_captions_is_refused_by_its_name() -> None:
    video = captioned_video([STREET], "bare", captioned=())
    with pytest.raises(ValueError, match="bare has no captions"):
        snippet_captions(video, WordEncoder())


def test_texts_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="64 wide, but those of its captions 8"):
        snippet_captions(captioned_video([STREET]), WordEncoder(8))


def test_impossible_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="0 seconds"):
        cut_windows(np.arange(3.0), 0, 8)
