"""Label embeddings: the k nearest phrases of a label (equation 6), and each strategy."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exvad.laam.label_vectors import (
    LabelPrompt,
    LabelVectors,
    augmented_embedding,
    nearest_phrases,
)
from exvad.laam.phrases import LabelPhrases, readable_label
from tests.helpers.fakes import FakeEncoder
from tests.helpers.labels import LABELS


def normalised(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 12))
def test_nearest_phrases_equals_brute_force(seed: int, m: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    label_D, phrase_mD = rng.normal(size=6), rng.normal(size=(m, 6))
    k = min(k, m)
    cosines = [
        float(row @ label_D / np.linalg.norm(row) / np.linalg.norm(label_D)) for row in phrase_mD
    ]
    expected = sorted(range(m), key=lambda index: -cosines[index])[:k]
    assert nearest_phrases(label_D, phrase_mD, k).tolist() == expected


def test_nearest_phrases_orders_equally_similar_phrases_by_index() -> None:
    phrase_mD = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]])
    assert nearest_phrases(np.array([1, 0]), phrase_mD, 2).tolist() == [1, 3]
    assert nearest_phrases(np.array([1, 0]), phrase_mD, 4).tolist() == [1, 3, 4, 0]
    many_mD = np.tile(phrase_mD, (20, 1))
    nearest = [index for index in range(100) if many_mD[index, 0] == 1]
    assert nearest_phrases(np.array([1, 0]), many_mD, 60).tolist() == nearest


vectors = arrays(np.float32, 5, elements=st.floats(-3, 3, width=32)).filter(
    lambda row: float(np.linalg.norm(row)) > 0.1
)


@settings(deadline=None)
@given(vectors, st.lists(vectors, min_size=4, max_size=8), st.integers(0, 4))
def test_augmented_embedding_is_the_unit_mean_of_label_and_phrases(
    label_D: np.ndarray[Any, Any], phrases: list[np.ndarray[Any, Any]], k: int
) -> None:
    phrase_mD = np.stack(phrases)
    chosen = [label_D, *phrase_mD[nearest_phrases(label_D, phrase_mD, k)]]
    mean_D = np.mean([normalised(row) for row in chosen], axis=0)
    if np.linalg.norm(mean_D) < 1e-3:  # opposite directions have no mean direction
        return
    result_D = augmented_embedding(label_D, phrase_mD, k)
    assert np.linalg.norm(result_D) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(result_D, normalised(mean_D), atol=2e-3)


def test_embeddings_with_k_0_use_the_name_alone() -> None:
    alone = LabelVectors.encode(LABELS, FakeEncoder()).embeddings("augmented", 0)
    np.testing.assert_allclose(
        alone, LabelVectors.encode(LABELS, FakeEncoder()).embeddings("name"), atol=1e-6
    )


@pytest.mark.parametrize("strategy", get_args(LabelPrompt))
def test_embeddings_are_unit_vectors_of_every_class(strategy: LabelPrompt) -> None:
    embeddings_CD = LabelVectors.encode(LABELS, FakeEncoder(8)).embeddings(strategy, 2)
    assert embeddings_CD.shape == (2, 8)
    assert embeddings_CD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings_CD, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("strategy", "texts"),
    [
        ("name", ["normal", "road accidents"]),
        ("template", ["a video of normal", "a video of road accidents"]),
        ("learnable", ["a video of normal", "a video of road accidents"]),
    ],
)
def test_embeddings_encode_the_text_of_the_strategy(
    strategy: LabelPrompt, texts: list[str]
) -> None:
    expected_CD = normalised(FakeEncoder().encode_texts(texts))
    embeddings_CD = LabelVectors.encode(LABELS, FakeEncoder()).embeddings(strategy)
    np.testing.assert_allclose(embeddings_CD, expected_CD, atol=1e-6)


def test_embeddings_augment_every_class_with_its_own_phrases() -> None:
    encoder = FakeEncoder()
    embeddings_CD = LabelVectors.encode(LABELS, encoder).embeddings("augmented", 2)
    for row_D, (label, phrases) in zip(embeddings_CD, LABELS.phrases.items(), strict=True):
        name_D = encoder.encode_texts([readable_label(label)])[0]
        expected_D = augmented_embedding(name_D, encoder.encode_texts(phrases), 2)
        np.testing.assert_allclose(row_D, expected_D, atol=1e-6)


def test_embeddings_reject_a_k_above_the_number_of_phrases() -> None:
    uneven = LabelPhrases(phrases={"Normal": ["a", "b"], "Arson": ["c"]}, origin="a test")
    with pytest.raises(ValueError, match=r"k = 2, but Arson has fewer phrases: lower labels\.k"):
        LabelVectors.encode(uneven, FakeEncoder()).embeddings("augmented", 2)


def test_from_arrays_splits_names_and_phrases() -> None:
    rows = {
        "Normal": np.arange(6, dtype=np.float32).reshape(3, 2),
        "Arson": np.arange(4, dtype=np.float32).reshape(2, 2),
    }
    vectors = LabelVectors.from_arrays(rows)
    assert vectors.classes == ("Normal", "Arson")
    np.testing.assert_array_equal(vectors.name_CD, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(vectors.template_CD, vectors.name_CD)
    np.testing.assert_array_equal(vectors.phrases[0], [[2, 3], [4, 5]])
    assert vectors.min_phrases == 1
