"""Predictions for videos of any length."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from exvad.inference.network import build_network
from exvad.inference.prediction import Prediction, predict
from exvad.modeling import ExVAD
from exvad.modeling.losses import mil_top_k_mean
from exvad.store.examples import Example
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

LABELS = torch.from_numpy(directions())


@pytest.fixture(scope="module")
def network() -> ExVAD:
    torch.manual_seed(0)
    return build_network(config("model.max_snippets=16"), WIDTH, len(CLASSES))


def test_predict_does_not_depend_on_the_batch_size(network: ExVAD) -> None:
    videos = examples(9, seed=3)
    one, many = (predict(network, LABELS, videos, 0.07, 16, size) for size in (1, 32))
    for a, b, example in zip(one, many, videos, strict=True):
        assert len(a.probabilities_TC) == len(example.visual_TD)
        np.testing.assert_allclose(a.probabilities_TC, b.probabilities_TC, atol=1e-5)
        for branch in ("classifier", "alignment"):
            np.testing.assert_allclose(a.scores[branch], b.scores[branch], atol=1e-5)


def test_predict_holds_the_examples_of_one_batch(network: ExVAD) -> None:
    alive: Counter[str] = Counter()
    most = 0

    def read() -> Iterator[Example]:
        nonlocal most
        for number in range(40):
            (video,) = examples(1, seed=number, lengths=(6, 6))
            alive["examples"] += 1
            weakref.finalize(video, alive.subtract, ["examples"])
            most = max(most, alive["examples"])
            yield video
            del video

    assert len(predict(network, LABELS, read(), 0.07, 16, batch_size=4)) == 40
    assert most <= 4 + 4 + 1


def test_predict_cuts_a_long_video_and_joins_the_clips_in_order(network: ExVAD) -> None:
    video = examples(1, seed=4, lengths=(40, 40))[0]
    prediction = predict(network, LABELS, [video], 0.07, 16)[0]
    for start in (0, 16, 32):
        visual_TD = video.visual_TD[start : start + 16]
        clip = Example("clip", visual_TD, None, video.target_C)
        expected = predict(network, LABELS, [clip], 0.07, 16)[0].probabilities_TC
        actual = prediction.probabilities_TC[start : start + 16]
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_predict_cuts_the_text_of_snippets_with_the_video() -> None:
    torch.manual_seed(0)
    settings = config("model.max_snippets=16", "model.text=captions")
    network = build_network(settings, WIDTH, len(CLASSES))
    (silent,) = examples(1, seed=4, lengths=(40, 40))
    text_TD = np.random.default_rng(0).normal(size=(40, WIDTH)).astype(np.float32)
    video = Example("video", silent.visual_TD, text_TD, silent.target_C)
    prediction = predict(network, LABELS, [video], 0.07, 16)[0]
    last = slice(32, 40)
    clip = Example("clip", video.visual_TD[last], text_TD[last], video.target_C)
    expected = predict(network, LABELS, [clip], 0.07, 16)[0]
    np.testing.assert_allclose(
        prediction.scores["classifier"][last], expected.scores["classifier"], atol=1e-5
    )


@pytest.mark.parametrize(("length", "count"), [(5, 1), (15, 1), (16, 2), (32, 3)])
def test_scores_of_a_video_are_means_of_the_highest_as_in_the_losses(
    length: int, count: int
) -> None:
    scores_T = np.linspace(0, 1, length, dtype=np.float32)
    rows_TC = np.stack([1 - scores_T, scores_T], axis=1)
    prediction = Prediction({"classifier": scores_T}, rows_TC)
    expected = mil_top_k_mean(torch.from_numpy(rows_TC)[None], torch.tensor([length]))[0]
    assert prediction.video_score("classifier") == pytest.approx(float(scores_T[-count:].mean()))
    np.testing.assert_allclose(prediction.video_probabilities(), expected, rtol=1e-6)


def test_video_class_is_that_of_the_least_normal_snippets() -> None:
    normal_C, fire_C = [0.9, 0.08, 0.02], [0.2, 0.7, 0.1]
    rows_TC = np.array([normal_C] * 30 + [fire_C] * 2, np.float32)  # K is 3
    prediction = Prediction({"classifier": rows_TC[:, 1]}, rows_TC)
    expected = (2 * np.array(fire_C) + np.array(normal_C)) / 3
    np.testing.assert_allclose(prediction.video_class_probabilities(), expected, rtol=1e-6)
    assert prediction.video_class_probabilities().argmax() == 1
    assert prediction.video_probabilities().argmax() == 0, "30 normal snippets"
    assert prediction.video_class_probabilities().sum() == pytest.approx(1)


def test_video_class_of_a_single_snippet_is_its_own() -> None:
    rows_1C = np.array([[0.3, 0.7]], np.float32)
    prediction = Prediction({"classifier": rows_1C[:, 1]}, rows_1C)
    np.testing.assert_allclose(prediction.video_class_probabilities(), rows_1C[0], rtol=1e-6)
