"""Where the truth is known, what must be learnt is; bench/learning.py measures it at length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from bench.planted import CLASSES, DECOY, TWIN, PlantedVideo, Planting
from exvad.config import load_config
from exvad.inference.network import build_network
from exvad.inference.prediction import predict
from exvad.laam.label_vectors import augmented_embedding
from exvad.metrics import frame_auc_ap
from exvad.store.examples import Example
from exvad.training.fitting import TrainingData, fit

SETTINGS = (
    "train.divisor=16", "train.text_dropout=0", "train.batch_size=32", "train.epochs=12",
    "train.learning_rate=0.002", "train.milestones=[8]",
)  # fmt: skip


def learn(
    rule: Planting, label_CD: NDArray[np.float32], *, text: bool = False
) -> tuple[float, NDArray[np.bool_], NDArray[np.intp]]:
    """Train on 400 videos; return of 150 others the frame AUC, which are named right, the truth."""
    config = load_config("demo", [*SETTINGS, f"model.text={'explanation' if text else 'none'}"])

    def seen(videos: Sequence[PlantedVideo]) -> list[Example]:
        examples = [video.example for video in videos]
        return examples if text else [replace(e, text=None) for e in examples]

    torch.manual_seed(0)
    network, labels = build_network(config, rule.width, len(CLASSES)), torch.from_numpy(label_CD)
    data = TrainingData(seen(rule.draw(400, 1)), seen(rule.draw(60, 2)))
    state = fit(network, labels, data, config)
    network.load_state_dict(state.best_weights)
    test = rule.draw(150, 3)
    predictions = predict(network, labels, seen(test), config.model.tau)
    scores = [p.scores[state.calibration.branch] for p in predictions]
    true_N = np.array([video.example.target_C.argmax() for video in test])
    named_N = np.array([p.video_probabilities().argmax() for p in predictions])
    return frame_auc_ap(scores, events(test))[0], named_N == true_N, true_N


def events(videos: Sequence[PlantedVideo]) -> list[list[tuple[int, int, str]]]:
    """The planted windows in frames."""
    windows = [video.window for video in videos]
    return [[(w[0] * 16, w[1] * 16, "abnormal")] if w else [] for w in windows]


def test_with_a_strong_signal_it_comes_near_the_oracle_and_with_less_it_gets_worse() -> None:
    reached = []
    for signal in (6.0, 2.0, 0.5):
        rule = Planting(signal=signal)
        test = rule.draw(150, 3)
        best = frame_auc_ap([rule.oracle(v.example)[0] for v in test], events(test))[0]
        auc, _, _ = learn(rule, rule.directions)
        assert auc <= best + 0.01
        reached.append(auc)
        if signal == 6:
            assert best - auc < 0.03
    assert reached == sorted(reached, reverse=True)
    assert reached[-1] > 0.48


def test_text_tells_classes_apart_that_look_alike() -> None:
    rule = Planting(signal=6, twins=True, decoys=0.3)
    # In words they differ.
    label_CD = Planting(signal=6).directions
    _, plain, true_N = learn(rule, label_CD)
    _, told, _ = learn(rule, label_CD, text=True)
    twins = np.isin(true_N, (TWIN, DECOY))
    assert plain[twins].mean() < 0.6
    assert told[twins].mean() > 0.95
    assert told.mean() > plain.mean() + 0.2


def test_phrases_help_where_names_say_little() -> None:
    rule = Planting(signal=6)
    names_CD, phrases = rule.phrases(16, 0)
    right = []
    for k in (0, 4):
        rows = zip(names_CD, phrases, strict=True)
        label_CD = np.stack([augmented_embedding(name_D, own_mD, k) for name_D, own_mD in rows])
        right.append(learn(rule, label_CD)[1].mean())
    assert right[1] > right[0] + 0.1
