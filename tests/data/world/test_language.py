"""The reference explanations of the demo world follow from the captions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.aegm.explanation_format import parse_explanation
from exvad.data.world import CLASSES, NORMAL
from exvad.data.world.activities import ACTIVITIES
from exvad.data.world.cast import Cast
from exvad.data.world.language import (
    MAX_EVIDENCE,
    PHRASES,
    REASONS,
    caption_class,
    explain,
)
from exvad.data.world.paint import CLOTHES

CAPTIONS = [
    f"{activity.caption(Cast((shirt, other), (other, shirt), 0, 0, 80, 1))} on a street by day"
    for activity in ACTIVITIES.values()
    for shirt, other in [("red", "blue"), ("white", "black")]
]
NORMALS = [caption for caption in CAPTIONS if caption_class(caption) == NORMAL]
ARSON = [caption for caption in CAPTIONS if caption_class(caption) == "Arson"]
FIGHT = [caption for caption in CAPTIONS if caption_class(caption) == "Fighting"]

videos = st.lists(st.sampled_from(CAPTIONS), min_size=1, max_size=16)


def test_caption_class_does_not_depend_on_colours() -> None:
    for activity in ACTIVITIES.values():
        for one in CLOTHES:
            for two in CLOTHES:
                caption = activity.caption(Cast((one, two), (two, one), 0, 0, 80, 1))
                assert caption_class(caption) == activity.label, caption


@settings(deadline=None)
@given(videos)
def test_explain_never_contradicts_the_captions(captions: list[str]) -> None:
    record = explain(captions)
    labels = [caption_class(caption) for caption in captions]
    assert record.anomalous == (record.category != NORMAL)
    assert record.category in labels
    assert 1 <= len(record.evidence) <= MAX_EVIDENCE
    assert all(labels[number - 1] == record.category for number in record.evidence)
    assert record.evidence == sorted(set(record.evidence))
    assert record.summary.removesuffix(".") in captions
    assert caption_class(record.summary) == record.category
    assert record.reason == REASONS[record.category]


@settings(deadline=None)
@given(videos)
def test_explain_returns_a_record_that_parses_back(captions: list[str]) -> None:
    record = explain(captions)
    assert parse_explanation(record.model_dump_json(), CLASSES, len(captions)) == record


@settings(deadline=None)
@given(videos)
def test_explain_takes_the_class_of_most_captions(captions: list[str]) -> None:
    labels = [caption_class(caption) for caption in captions]
    category = explain(captions).category
    if category == NORMAL:
        assert all(labels.count(label) < 3 for label in CLASSES[1:])
    else:
        assert labels.count(category) == max(labels.count(label) for label in CLASSES[1:])


def test_explain_ignores_two_abnormal_captions_among_many() -> None:
    assert explain([*NORMALS[:5], ARSON[0], ARSON[0]]).category == NORMAL
    assert explain([*NORMALS[:5], ARSON[0], ARSON[0], ARSON[1]]).category == "Arson"


def test_explain_trusts_a_single_caption() -> None:
    assert explain([ARSON[0]]).category == "Arson"
    assert explain([ARSON[0], FIGHT[0]]).category in ("Arson", "Fighting")


def test_explain_summarizes_with_the_most_frequent_caption() -> None:
    assert explain([ARSON[1], ARSON[0], ARSON[0]]).summary == f"{ARSON[0]}."


@pytest.mark.parametrize("label", CLASSES)
def test_every_class_has_16_distinct_phrases_of_its_own(label: str) -> None:
    assert len(set(PHRASES[label])) == len(PHRASES[label]) == 16
    others = {phrase for name, phrases in PHRASES.items() if name != label for phrase in phrases}
    assert not others & set(PHRASES[label])


def test_phrases_and_reasons_have_every_class_in_order() -> None:
    assert tuple(PHRASES) == tuple(REASONS) == CLASSES
