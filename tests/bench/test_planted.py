"""Planted features: the oracle is the calibrated posterior of the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.planted import CLASSES, DECOY, TWIN, Planting


def test_oracle_is_calibrated() -> None:
    rule = Planting(signal=1.5, decoys=0.3)
    predicted, true = [], []
    for video in rule.draw(2000, 0):
        inside_T, label_C = rule.oracle(video.example)
        start, end = video.window or (0, 0)
        predicted.append(inside_T)
        true.append((np.arange(len(inside_T)) >= start) & (np.arange(len(inside_T)) < end))
        assert label_C.sum() == pytest.approx(1, abs=1e-5)
        assert inside_T.max() <= 1 - label_C[0] + 1e-5
    predicted_T, true_T = np.concatenate(predicted), np.concatenate(true)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.1)):
        chosen = (predicted_T >= low) & (predicted_T < high)
        assert chosen.sum() > 300
        assert true_T[chosen].mean() == pytest.approx(predicted_T[chosen].mean(), abs=0.06)


def test_oracle_returns_the_prior_without_a_signal() -> None:
    rule = Planting(signal=0)
    (video,) = rule.draw(1, 0)
    inside_T, label_C = rule.oracle(video.example)
    np.testing.assert_allclose(label_C, [0.5, *[0.1] * (len(CLASSES) - 1)], atol=1e-6)
    np.testing.assert_allclose(inside_T, inside_T[::-1], atol=1e-6)


def test_oracle_distinguishes_twins_and_decoys_by_their_text_only() -> None:
    rule = Planting(signal=6, twins=True, decoys=0.3)
    for video in rule.draw(60, 0):
        label = int(video.example.target_C.argmax())
        _, visual_C = rule.oracle(video.example)
        _, text_C = rule.oracle(video.example, with_text=True)
        assert text_C[label] > 0.99
        if label in (TWIN, DECOY):
            assert visual_C[TWIN] == pytest.approx(visual_C[DECOY], abs=1e-6)
            assert visual_C[0] > 0.1


def test_draw_depends_on_the_seed() -> None:
    rule = Planting()
    one, same, other = (rule.draw(3, seed) for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.example.visual_TD, b.example.visual_TD)
        assert a.window == b.window
    assert one[0].example.visual_TD.tobytes() != other[0].example.visual_TD.tobytes()
    assert replace(rule, seed=1).directions.tobytes() != rule.directions.tobytes()
