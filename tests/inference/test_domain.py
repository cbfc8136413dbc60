"""The domain of a checkpoint: unlike features are noticed, and unseen ones of the kind are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exvad.inference.domain import (
    MIN_VIDEOS,
    PREFIX,
    Domain,
    check_domain,
    confidence_weight,
    fit_domain,
    pop_domain,
)
from tests.helpers.planted import examples


def planted(count: int, seed: int) -> list[NDArray[np.float32]]:
    """Return the features of videos of one kind; every other has a planted anomaly."""
    return [example.visual_TD for example in examples(count, seed)]


def fitted() -> Domain:
    domain = fit_domain(planted(200, seed=0))
    assert domain is not None
    return domain


def share_outside(domain: Domain, videos: Sequence[NDArray[np.floating]]) -> float:
    states = [check_domain(domain, visual_TD).state for visual_TD in videos]
    return states.count("outside") / len(states)


def test_check_domain_notices_videos_of_another_kind_and_hardly_any_of_the_same() -> None:
    domain, same = fitted(), planted(200, seed=1)
    assert share_outside(domain, same) <= 0.05
    assert share_outside(domain, [visual_TD + 2 for visual_TD in same]) == 1
    assert share_outside(domain, [3 * visual_TD for visual_TD in same]) >= 0.95


def test_check_domain_is_not_decided_by_a_few_snippets() -> None:
    domain, visual_TD = fitted(), planted(1, seed=2)[0]
    visual_TD[: len(visual_TD) // 3] = 50
    assert check_domain(domain, visual_TD).state == "inside"


def test_check_domain_notices_features_in_the_middle_of_those_of_training() -> None:
    # An average over directions calls this the most typical feature of all.
    domain = fitted()
    middle_D = domain.space.mean_D / np.linalg.norm(domain.space.mean_D)
    length = float(np.median(np.linalg.norm(np.concatenate(planted(20, seed=1)), axis=1)))
    assert check_domain(domain, np.tile(length * middle_D, (12, 1))).state == "outside"


def test_check_domain_notices_features_that_leave_the_axis_of_training_alone() -> None:
    # Of another mean, but with as much variance and of the same length as those of training.
    rng = np.random.default_rng(0)
    axis_D = np.eye(64)[0] * 20

    def videos(lean: float) -> list[NDArray[np.float64]]:
        rows = (rng.normal(size=(12, 64)) + axis_D * (1 - lean) for _ in range(60))
        return [20 * row_TD / np.linalg.norm(row_TD, axis=1)[:, None] for row_TD in rows]

    domain = fit_domain(videos(0))
    assert domain is not None
    assert share_outside(domain, videos(0)) <= 0.05
    assert share_outside(domain, videos(0.15)) == 1


def test_stretch_limit_holds_for_the_most_unusual_stretch_of_nearly_every_video() -> None:
    domain = fitted()
    limits = [domain.stretch_limit(snippets) for snippets in (1, 2, 3, 4, 8, 16, 32, 64)]
    assert limits == sorted(limits, reverse=True)
    assert limits[1] == limits[2] > limits[3] > domain.limit
    unseen = [domain.profiles(visual_TD) for visual_TD in planted(100, seed=6)]
    outside = [
        any(
            domain.check(profiles_TP[start : start + 4], stretch=True).state == "outside"
            for start in range(len(profiles_TP) - 3)
        )
        for profiles_TP in unseen
    ]
    assert np.mean(outside) <= 0.05
    assert domain.check(unseen[0] + 1, stretch=True).state == "outside"


def test_fit_domain_weighs_videos_equally_however_long_they_are() -> None:
    videos = planted(60, seed=3)
    long = np.repeat(videos[0] + 30, 100, axis=0)
    domain, plain = fit_domain([*videos, long]), fit_domain(videos)
    assert domain is not None
    assert plain is not None
    moved_D = domain.space.mean_D - plain.space.mean_D
    assert float(np.linalg.norm(moved_D)) < 2 / 61, "one direction of 61 moves the mean by so much"


def test_fit_domain_needs_twenty_videos() -> None:
    assert fit_domain(planted(MIN_VIDEOS - 1, seed=0)) is None
    assert fit_domain(planted(MIN_VIDEOS, seed=0)) is not None
    check = check_domain(None, planted(1, seed=0)[0])
    assert (check.state, check.distance, check.confidence_weight) == ("unknown", None, 1)
    assert "keeps no statistics" in check.text


def test_fit_domain_stands_features_that_never_vary() -> None:
    videos = [np.ones((4, 8), np.float16) for _ in range(MIN_VIDEOS)]
    domain = fit_domain(videos)
    assert domain is not None
    assert check_domain(domain, np.full((4, 8), 1.5)).state == "outside"


def test_confidence_weight_falls_with_the_square_of_the_distance_from_the_limit_on() -> None:
    assert [confidence_weight(distance) for distance in (0, 0.5, 1)] == [1, 1, 1]
    assert confidence_weight(1 + 1e-9) == pytest.approx(1)
    assert confidence_weight(2) == 0.25


def test_check_says_so_in_words_with_the_sentence_about_the_checkpoint() -> None:
    check = check_domain(fitted(), planted(1, seed=4)[0] + 3, about="It was trained on noise.")
    assert check.text.startswith("Outside the domain of this checkpoint: the images are unlike ")
    assert "200 training videos" in check.text
    assert f"multiplied by {check.confidence_weight:.2g}." in check.text
    assert check.text.endswith(" It was trained on noise.")


def test_pop_domain_returns_what_to_tensors_gave_and_leaves_the_weights() -> None:
    domain = fitted()
    tensors = {"weight": torch.ones(3), **domain.to_tensors()}
    restored = pop_domain(tensors)
    assert list(tensors) == ["weight"]
    assert restored is not None
    assert restored.limit == domain.limit
    assert restored.stretch_limit(3) == domain.stretch_limit(3)
    profiles_TP = domain.profiles(planted(1, seed=5)[0])
    np.testing.assert_array_equal(restored.profiles(planted(1, seed=5)[0]), profiles_TP)
    assert restored.check(profiles_TP) == domain.check(profiles_TP)
    assert pop_domain(tensors) is None
    with pytest.raises(KeyError, match=f"{PREFIX}space.basis_KD"):
        pop_domain({f"{PREFIX}space.mean_D": torch.ones(3)})


def test_pop_domain_leaves_out_the_statistics_of_an_earlier_measure() -> None:
    tensors = {"weight": torch.ones(3), f"{PREFIX}distances_Q": torch.ones(101)}
    assert pop_domain(tensors) is None
    assert list(tensors) == ["weight"]
