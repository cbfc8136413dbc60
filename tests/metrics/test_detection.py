"""Detection mAP agrees with a literal reference and has the properties its protocols promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.metrics import IOUS, Protocol, detection_map
from tests.helpers.metric_cases import (
    CLASSES,
    PROTOCOLS,
    Events,
    Scores,
    block_scores,
    frames_per_snippet_values,
    literal_vadclip,
    oracle_scores,
    random_test_set,
    seeds,
)

NUMBER_TYPES = ["float64", "float32", "float16", "rounded", "binary", "signed", "integer"]


@pytest.mark.parametrize("number_type", NUMBER_TYPES)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, frames_per_snippet=frames_per_snippet_values)
def test_vadclip_equals_the_literal_reference_to_the_last_bit(
    number_type: str, seed: int, frames_per_snippet: int
) -> None:
    scores, events = random_test_set(seed, frames_per_snippet, number_type)
    result = detection_map(scores, events, CLASSES, "vadclip", frames_per_snippet)
    expected = {
        iou: literal_vadclip(scores, events, CLASSES, frames_per_snippet, iou) for iou in IOUS
    }
    assert result.per_iou == expected
    assert result.average == pytest.approx(np.mean(list(expected.values())))


@pytest.mark.parametrize("seed", range(3))
def test_vadclip_orders_ties_as_the_literal_reference(seed: int) -> None:
    """There are so many equal scores that the order of NumPy's default sort matters."""
    rng = np.random.default_rng(seed)
    scores: Scores = [rng.integers(0, 2, (100, 3)).astype(np.float32) for _ in range(10)]
    starts = 16 * rng.integers(0, 100, (10, 5))
    events = [[(int(t), int(t) + 32, "Arson") for t in video_starts] for video_starts in starts]
    result = detection_map(scores, events, CLASSES, "vadclip")
    assert result.per_iou[0.3] == literal_vadclip(scores, events, CLASSES, 16, 0.3) > 0


def test_vadclip_is_zero_if_one_class_has_no_segment() -> None:
    events = [[(32, 64, "Arson")], [(0, 32, "Fighting")], []]
    scores = oracle_scores(events, [6, 6, 6], CLASSES)
    before = detection_map(scores, events, CLASSES, "vadclip")
    for rows in scores:
        rows[:, 2] = 0.5
    after = detection_map(scores, events, CLASSES, "vadclip")
    assert before.average == pytest.approx(200 / 3)
    assert after.per_iou == dict.fromkeys(IOUS, 0.0)
    assert after.average == 0
    assert after.per_class["Arson"] == dict.fromkeys(IOUS, 100.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_detection_map_ignores_events_of_unknown_classes(protocol: Protocol) -> None:
    events: Events = [[(32, 64, "Arson")], [(0, 32, "Fighting")], [(0, 32, "A")]]
    scores = oracle_scores([*events[:2], []], [6, 6, 6], CLASSES)
    expected = detection_map(scores, [*events[:2], []], CLASSES, protocol)
    assert detection_map(scores, events, CLASSES, protocol) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds, frames_per_snippet=frames_per_snippet_values)
def test_detection_map_does_not_depend_on_the_order_of_videos_without_ties(
    protocol: Protocol, seed: int, frames_per_snippet: int
) -> None:
    scores, events = random_test_set(seed, frames_per_snippet, "float64")
    order = np.random.default_rng(seed).permutation(len(scores)).tolist()
    result = detection_map(scores, events, CLASSES, protocol, frames_per_snippet)
    shuffled = detection_map(
        [scores[k] for k in order],
        [events[k] for k in order],
        CLASSES,
        protocol,
        frames_per_snippet,
    )
    assert shuffled.per_iou == pytest.approx(result.per_iou)
    for label, values in result.per_class.items():
        assert shuffled.per_class[label] == pytest.approx(values)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, data=st.data(), lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_strict_gives_an_oracle_100(seed: int, data: st.DataObject, lengths: list[int]) -> None:
    """Events are whole snippets, at least one apart; some are single snippets or whole videos."""
    events: Events = [[(0, 16, "Arson")], [(16, 64, "Fighting")], []]
    for length in lengths:
        first = data.draw(st.integers(0, length - 1))
        end = data.draw(st.integers(first + 1, length))
        label = data.draw(st.sampled_from(CLASSES[1:]))
        video_events = [(16 * first, 16 * end, label)]
        if end + 1 < length:
            video_events.append((16 * (end + 1), 16 * length, label))
        events.append(video_events)
    scores = oracle_scores(events, [4, 4, 4, *lengths], CLASSES)
    result = detection_map(scores, events, CLASSES, "strict")
    assert result.per_iou == pytest.approx(dict.fromkeys(IOUS, 100.0))
    assert list(result.per_class) == CLASSES[1:]


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_strict_ignores_normal_videos_and_the_normal_class(seed: int) -> None:
    scores, events = random_test_set(seed, 16, "float64")
    abnormal = [
        video
        for video, video_events in enumerate(events)
        if {label for *_, label in video_events} & set(CLASSES[1:])
    ]
    changed = [rows * [-3.0, 1, 1] for rows in scores]
    for video in set(range(len(scores))) - set(abnormal):
        changed[video] = 5 - 7 * changed[video]
    result = detection_map(scores, events, CLASSES, "strict")
    assert detection_map(changed, events, CLASSES, "strict") == result
    if abnormal:
        alone = [scores[k] for k in abnormal], [events[k] for k in abnormal]
        assert detection_map(*alone, CLASSES, "strict") == result


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_strict_does_not_depend_on_the_scale_of_scores(seed: int) -> None:
    scores, events = random_test_set(seed, 16, "float64")
    result = detection_map(scores, events, CLASSES, "strict")
    assert detection_map([8 * rows for rows in scores], events, CLASSES, "strict") == result


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_strict_counts_a_class_without_segments_as_zero_for_itself_alone(constant: float) -> None:
    events: Events = [[(32, 64, "Arson")], [(0, 96, "Fighting")]]
    scores = oracle_scores(events, [6, 6], CLASSES)
    for rows in scores:
        rows[:, 2] = constant
    result = detection_map(scores, events, CLASSES, "strict")
    assert result.per_class["Arson"] == dict.fromkeys(IOUS, 100.0)
    assert result.per_class["Fighting"] == dict.fromkeys(IOUS, 0.0)
    assert result.average == 50


def test_strict_counts_a_class_without_events_as_zero() -> None:
    events: Events = [[(32, 64, "Arson")], [(0, 32, "Arson")]]
    result = detection_map(oracle_scores(events, [6, 6], CLASSES), events, CLASSES, "strict")
    assert result.per_class["Fighting"] == dict.fromkeys(IOUS, 0.0)
    assert result.average == 50


def test_strict_is_zero_if_no_video_is_abnormal() -> None:
    result = detection_map([block_scores(4, (1, 2, 1.0))], [[]], ["Normal", "Arson"], "strict")
    assert result.per_class == {"Arson": dict.fromkeys(IOUS, 0.0)}


def test_detection_map_uses_the_given_iou_thresholds() -> None:
    scores, events = random_test_set(3, 16, "float64")
    result = detection_map(scores, events, CLASSES, "strict", ious=[0.25, 0.75])
    assert list(result.per_iou) == [0.25, 0.75]
    assert result.average == pytest.approx(np.mean(list(result.per_iou.values())))
    means = [
        np.mean([values[iou] for values in result.per_class.values()]) for iou in result.per_iou
    ]
    assert list(result.per_iou.values()) == pytest.approx(means)
