"""Caption cleaning: equation 2 to the letter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exvad.aegm.cleaning import clean_captions


@st.composite
def features(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Image and text features of 1 to 8 frames; small integers make many exact ties."""
    count = draw(st.integers(1, 8))
    rows = arrays(np.float32, (count, 3), elements=st.integers(-2, 2).map(float))
    image, text = draw(rows), draw(rows)
    image[~image.any(1)] = 1
    text[~text.any(1)] = 1
    return image, text


@settings(deadline=None)
@given(features(), st.none() | st.integers(1, 8))
def test_clean_captions_equals_a_literal_loop_over_equation_2(
    pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], window: int | None
) -> None:
    image_cD, text_cD = pair
    count = len(image_cD)
    captions = [f"caption {number}" for number in range(count)]
    cleaned = clean_captions(captions, image_cD, text_cD, window)
    for i in range(count):
        cosines = {
            j: float(
                image_cD[i] @ text_cD[j] / np.linalg.norm(image_cD[i]) / np.linalg.norm(text_cD[j])
            )
            for j in range(count)
            if window is None or abs(i - j) <= window
        }
        chosen = captions.index(cleaned.captions[i])
        if cosines[i] >= max(cosines.values()) - 5e-7:
            assert chosen == i
        else:
            assert cosines[chosen] == pytest.approx(max(cosines.values()), abs=1e-6)
        np.testing.assert_array_equal(cleaned.features_cD[i], text_cD[chosen])
    assert cleaned.changed == sum(a != b for a, b in zip(cleaned.captions, captions, strict=True))


def test_clean_captions_keeps_a_caption_that_is_as_similar_as_any() -> None:
    same_cD = np.ones((3, 4), np.float32)
    cleaned = clean_captions(["a", "b", "c"], same_cD, same_cD)
    assert cleaned.captions == ["a", "b", "c"]
    assert cleaned.changed == 0


def test_clean_captions_ignores_the_length_of_features() -> None:
    image_cD = np.eye(2, dtype=np.float32)
    text_cD = np.array([[1, 0], [90, 100]], np.float32)
    assert clean_captions(["a", "b"], image_cD, text_cD).captions == ["a", "b"]


def test_clean_captions_considers_captions_within_the_window_only() -> None:
    image_cD = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    text_cD = np.array([[0, 1], [1, 1], [1, 0]], np.float32)
    captions = ["first", "second", "third"]
    assert clean_captions(captions, image_cD, text_cD).captions == ["third", "first", "first"]
    near = clean_captions(captions, image_cD, text_cD, window=1)
    assert near.captions == ["second", "first", "second"]
    assert near.changed == 3


def test_clean_captions_counts_an_equal_caption_of_another_frame_as_unchanged() -> None:
    image_cD = np.eye(2, dtype=np.float32)
    cleaned = clean_captions(["a man", "a man"], image_cD, image_cD[::-1].copy())
    assert cleaned.changed == 0
