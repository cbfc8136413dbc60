"""Redrawn figures are those that measuring the drawn videos from scratch gives."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.evaluation.redraws import DetectionRedraws, Redraws
from exvad.evaluation.scored import Scored

CLASSES = ("Normal", "Fighting", "Arson", "Robbery")


def scored(seed: int, untimed: bool = False) -> Scored:
    """Noisy scores of 24 videos, half of them normal, one of them with two kinds of events."""
    rng = np.random.default_rng(seed)
    videos, scores, probabilities = [], [], []
    for number in range(24):
        length = int(rng.integers(3, 40))
        events: list[Event] = []
        logits_TC = rng.normal(size=(length, len(CLASSES)))
        columns = [] if number % 2 else [1 + number // 2 % 3]
        for column in [*columns, 1] if number == 4 else columns:
            start, end = np.sort(rng.choice(length * 16, 2, replace=False)).tolist()
            events.append(Event(start, end, CLASSES[column]))
            logits_TC[start // 16 : end // 16 + 1, column] += 2
        labels = tuple(dict.fromkeys(event.label for event in events)) or ("Normal",)
        odd = length * 16 - int(rng.integers(0, 16))
        videos.append(
            Video(f"v{number}", "x.mp4", "test", labels, () if untimed else tuple(events), odd, 30)
        )
        shown = np.exp(logits_TC)
        probabilities.append((shown / shown.sum(1, keepdims=True)).astype(np.float32))
        scores.append(1 - probabilities[-1][:, 0])
    named = [CLASSES[int(row.mean(0).argmax())] for row in probabilities]
    video_scores_N = np.array([row.max() for row in scores], np.float64)
    return Scored(
        Manifest(CLASSES, tuple(videos)), scores, probabilities, video_scores_N, named, 16
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_draw_gives_what_measuring_it_from_scratch_gives(seed: int) -> None:
    whole = scored(seed)
    redraws = Redraws(whole)
    rng = np.random.default_rng(seed)
    abnormal, normal = np.flatnonzero(whole.abnormal), np.flatnonzero(~whole.abnormal)
    draws = [
        np.arange(24),
        *(rng.choice(24, 24) for _ in range(5)),
        rng.choice(abnormal, 3),
        rng.choice(normal, 3),
    ]
    for chosen in draws:
        found, wanted = redraws(chosen), whole.headline(chosen)
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            if not whole.abnormal[chosen].any() and name.startswith("map_strict"):
                continue  # there is nothing to find
            assert found[name] == (None if value is None else pytest.approx(value, abs=1e-9)), name


def test_the_floor_of_strict_moves_with_the_draw() -> None:
    """Half the redraws leave out the video with the lowest score; the levels follow."""
    rng = np.random.default_rng(0)
    scores = [rng.random((12, 2)) for _ in range(6)]
    scores[0][4, 1] = -1
    events = [[(16, 96, "Fighting")] for _ in scores]
    redraws = DetectionRedraws(scores, events, CLASSES[:2], "strict", 16)
    with_it = redraws.per_iou(np.array([1, 1, 1, 1, 1, 1]))
    without = redraws.per_iou(np.array([0, 2, 1, 1, 1, 1]))
    assert with_it != without
    fresh = DetectionRedraws(scores[1:], events[1:], CLASSES[:2], "strict", 16)
    assert without == fresh.per_iou(np.array([2, 1, 1, 1, 1]))


def test_without_events_only_whole_videos_are_measured() -> None:
    figures = Redraws(scored(0, untimed=True))(np.arange(24))
    assert {name for name, value in figures.items() if value is not None} == {
        "video_auc",
        "class_accuracy",
    }
