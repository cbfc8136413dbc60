"""Scores by the nearest scenes of a memory, on features that are made by hand.

T snippets · D feature width
"""

from __future__ import annotations

import numpy as np
import pytest

from exvad.config import Config, build_config
from exvad.zero_shot.encoding import EncodedMemory
from exvad.zero_shot.matching import match_snippets, nearest_scene

EYE_DD = np.eye(4, dtype=np.float32)
MEMORY = EncodedMemory(
    ("Normal", "Fire", "Fall"),
    ("people walk", "cars pass", "a car burns", "a man falls"),
    np.array([0, 0, 1, 2]),
    EYE_DD,
    np.zeros(4, bool),
)


def settings(**values: float) -> Config:
    """Return a configuration with these settings of `zero_shot`."""
    return build_config({"zero_shot": {"smoothing": 0, "top_k": 4, **values}})


def test_match_scores_the_weight_of_incidents_among_the_nearest_scenes() -> None:
    visual_TD = np.stack([EYE_DD[0], 3 * EYE_DD[2], EYE_DD[1] + EYE_DD[3]])
    match = match_snippets(visual_TD, MEMORY, settings(penalty=1.0, temperature=0.1))
    weight = 1 / (1 + 3 * np.exp(-10))
    assert match.scores_T[1] == pytest.approx(weight + np.exp(-10) * weight, abs=1e-4)
    assert match.scores_T[0] < 0.001
    assert match.scores_T[2] == pytest.approx(0.5, abs=1e-3)
    assert match.probabilities_TC.argmax(1).tolist()[:2] == [0, 1]
    np.testing.assert_allclose(match.probabilities_TC.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(1 - match.probabilities_TC[:, 0], match.scores_T, atol=1e-6)


def test_match_penalizes_incidents() -> None:
    visual_TD = (EYE_DD[0] + EYE_DD[2])[None]
    plain = match_snippets(visual_TD, MEMORY, settings(penalty=1.0)).scores_T
    penalized = match_snippets(visual_TD, MEMORY, settings(penalty=0.9)).scores_T
    assert plain[0] == pytest.approx(0.5, abs=1e-3)
    assert penalized[0] < 0.1


def test_match_considers_only_the_nearest_scenes() -> None:
    visual_TD = (EYE_DD[0] + 0.9 * EYE_DD[2])[None]
    hot = settings(penalty=1.0, temperature=1.0)
    one = settings(penalty=1.0, temperature=1.0, top_k=1)
    assert match_snippets(visual_TD, MEMORY, hot).scores_T[0] > 0.4
    assert match_snippets(visual_TD, MEMORY, one).scores_T[0] == 0


def test_match_smooths_over_time_and_keeps_the_last_snippet_causal() -> None:
    visual_TD = np.stack([EYE_DD[0]] * 4 + [EYE_DD[2]] + [EYE_DD[0]] * 4)
    smooth = settings(smoothing=1.0)
    scores_T = match_snippets(visual_TD, MEMORY, smooth).scores_T
    assert 0.3 < scores_T[4] < 0.5
    assert scores_T[3] > scores_T[2] > 0.01
    np.testing.assert_allclose(
        match_snippets(visual_TD, MEMORY, settings()).scores_T[4], 1, atol=1e-3
    )


def test_match_of_a_long_video_equals_that_of_its_parts() -> None:
    visual_TD = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    whole = match_snippets(visual_TD, MEMORY, settings())
    part = match_snippets(visual_TD[4000:4500], MEMORY, settings())
    np.testing.assert_allclose(whole.scores_T[4000:4500], part.scores_T, atol=1e-6)


def at_cosines(normal: list[float], fire: list[float], own: dict[int, float]) -> EncodedMemory:
    """Return a memory whose scenes have these cosines to EYE_DD[0], and label → one of the user."""
    cosines = np.array([*normal, *fire, *own.values()], np.float32)
    labels = np.array([0] * len(normal) + [1] * len(fire) + list(own))
    rest = np.sqrt(1 - cosines**2)
    scene_MD = np.stack([cosines, rest, 0 * rest, 0 * rest], axis=1)
    own_M = np.arange(len(labels)) >= len(normal) + len(fire)
    classes = ("Normal", "Fire", "Climbing")[: labels.max() + 1]
    return EncodedMemory(classes, ("",) * len(labels), labels, scene_MD, own_M)


NEAR_NORMAL = np.linspace(0.24, 0.267, 40).tolist()
NEAR_FIRE = np.linspace(0.285, 0.30, 40).tolist()
FAR = np.linspace(0.18, 0.22, 40).tolist()
DEFAULTS = build_config({"zero_shot": {"smoothing": 0}})


def test_one_normal_scene_of_the_user_silences_what_it_describes() -> None:
    def score(own: dict[int, float]) -> float:
        match = match_snippets(EYE_DD[:1], at_cosines(FAR, NEAR_FIRE, own), DEFAULTS)
        return float(match.scores_T[0])

    assert score({}) > 0.95
    assert score({0: 0.30}) < 0.4
    assert score({0: 0.20}) == score({})


def test_one_scene_that_is_looked_for_is_found_under_its_kind() -> None:
    def match(own: dict[int, float]) -> tuple[float, int]:
        found = match_snippets(EYE_DD[:1], at_cosines(NEAR_NORMAL, FAR, own), DEFAULTS)
        return float(found.scores_T[0]), int(found.probabilities_TC[0, 1:].argmax()) + 1

    assert match({2: 0.20})[0] < 0.1
    score, label = match({2: 0.30})
    assert score > 0.6
    assert label == 2
    of_memory, label = match({1: 0.30})  # a scene for a kind of the memory
    assert of_memory == pytest.approx(score)
    assert label == 1


def test_many_scenes_of_the_user_have_no_more_weight_than_the_nearest() -> None:
    memory = at_cosines(NEAR_NORMAL, FAR, {2: 0.25})
    one = match_snippets(EYE_DD[:1], memory, DEFAULTS).scores_T[0]
    repeated = np.r_[np.arange(80), [80] * 10]
    many = EncodedMemory(
        memory.classes,
        ("",) * 90,
        memory.label_M[repeated],
        memory.scene_MD[repeated],
        memory.own_M[repeated],
    )
    assert match_snippets(EYE_DD[:1], many, DEFAULTS).scores_T[0] < one + 0.1


def test_nearest_scene_is_of_the_class_that_is_asked_for() -> None:
    assert nearest_scene(EYE_DD[3] + 0.5 * EYE_DD[2], MEMORY, 1)[0] == "a car burns"
    text, similarity = nearest_scene(2 * EYE_DD[1], MEMORY, 0)
    assert text == "cars pass"
    assert similarity == pytest.approx(1.0)
