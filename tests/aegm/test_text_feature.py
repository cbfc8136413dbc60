"""The text feature of an explanation, whatever its length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.aegm.text_feature import text_feature
from tests.helpers.fakes import FakeEncoder

sentences = st.text(st.characters(codec="utf-8", exclude_characters=".!?;"), max_size=40)


def test_text_feature_encodes_each_sentence_separately() -> None:
    encoder = FakeEncoder()
    text_feature(encoder, " A man walks. Is he alone?  He is!\nA car; a bus, Mr 3.5 ")
    assert encoder.text_batches == [
        ["A man walks.", "Is he alone?", "He is!", "A car;", "a bus, Mr 3.5"]
    ]


@settings(deadline=None)
@given(sentences.filter(str.strip))
def test_text_feature_of_one_sentence_is_its_encoding(sentence: str) -> None:
    encoder = FakeEncoder()
    plain_D = encoder.encode_texts([sentence.strip()])[0]
    np.testing.assert_allclose(text_feature(encoder, sentence), plain_D, rtol=1e-4, atol=1e-6)


def test_text_feature_has_the_mean_direction_and_the_mean_length_of_the_sentences() -> None:
    encoder = FakeEncoder()
    feature_D = text_feature(encoder, "One. Two. Three.")
    plain_SD = encoder.encode_texts(["One.", "Two.", "Three."])
    lengths_S = np.linalg.norm(plain_SD, axis=1)
    mean_D = (plain_SD / lengths_S[:, None]).mean(0)
    assert np.linalg.norm(feature_D) == pytest.approx(lengths_S.mean(), rel=1e-5)
    cosine = feature_D @ mean_D / np.linalg.norm(feature_D) / np.linalg.norm(mean_D)
    assert cosine == pytest.approx(1, abs=1e-6)
    assert feature_D.dtype == np.float32


@pytest.mark.parametrize("text", ["", " \n", "..."])
def test_text_feature_of_an_empty_text_is_finite(text: str) -> None:
    assert np.isfinite(text_feature(FakeEncoder(), text)).all()
