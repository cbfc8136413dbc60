"""Label embeddings by each strategy."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from exvad.laam.label_vectors import LabelPrompt, LabelVectors
from exvad.laam.phrases import LabelPhrases, readable_label
from exvad.laam.top_phrases import augmented_embedding
from tests.helpers.fakes import FakeEncoder
from tests.helpers.labels import LABELS


def normalised(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


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
