"""Predictions of other systems have the form of those of Ex-VAD's network."""

from __future__ import annotations

import numpy as np
import torch

from exvad.baselines import Inputs, build_baseline, with_class_map
from exvad.inference.system_prediction import predict_system
from tests.helpers import planted


def test_predictions_have_two_classes_without_a_class_map_and_all_with_one() -> None:
    examples = planted.examples(3, 0)
    label_CD = torch.from_numpy(planted.directions())
    system = build_baseline("real_ad", Inputs(planted.WIDTH, label_CD))
    with_classes = with_class_map(system, "F3", len(label_CD), label_CD)
    for prediction, example in zip(predict_system(system, examples), examples, strict=True):
        assert prediction.probabilities_TC.shape == (len(example.visual_TD), 2)
        np.testing.assert_allclose(prediction.probabilities_TC.sum(1), 1, atol=1e-6)
        np.testing.assert_array_equal(
            prediction.scores["alignment"], prediction.scores["classifier"]
        )
    (first, *_) = predict_system(with_classes, examples)
    assert first.probabilities_TC.shape[1] == len(label_CD)
    (coarse, *_) = predict_system(with_classes, examples, coarse=True)
    assert coarse.probabilities_TC.shape[1] == 2
