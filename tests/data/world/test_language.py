"""What is said about the demo world is what a careful reader would say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.aegm.explanation import parse_explanation
from exvad.data.world import CLASSES, NORMAL
from exvad.data.world.activities import ACTIVITIES, Cast
from exvad.data.world.language import (
    EVIDENCE_LIMIT,
    PHRASES,
    REASONS,
    caption_class,
    explain,
)
from exvad.data.world.paint import CLOTHES

CAPTIONS = [
    f"{activity.says(Cast((shirt, other), (other, shirt), 0, 0, 80, 1))} on a street by day"
    for activity in ACTIVITIES.values()
    for shirt, other in [("red", "blue"), ("white", "black")]
]
NORMALS = [caption for caption in CAPTIONS if caption_class(caption) == NORMAL]
ARSON = [caption for caption in CAPTIONS if caption_class(caption) == "Arson"]
FIGHT = [caption for caption in CAPTIONS if caption_class(caption) == "Fighting"]

videos = st.lists(st.sampled_from(CAPTIONS), min_size=1, max_size=16)


def test_no_colour_changes_the_class_of_a_caption() -> None:
    for activity in ACTIVITIES.values():
        for one in CLOTHES:
            for two in CLOTHES:
                caption = activity.says(Cast((one, two), (two, one), 0, 0, 80, 1))
                assert caption_class(caption) == activity.label, caption


@settings(deadline=None)
@given(videos)
def test_an_explanation_never_contradicts_its_captions(captions: list[str]) -> None:
    record = explain(captions)
    spoken = [caption_class(caption) for caption in captions]
    assert record.anomalous == (record.category != NORMAL)
    assert record.category in spoken
    assert 1 <= len(record.evidence) <= EVIDENCE_LIMIT
    assert all(spoken[number - 1] == record.category for number in record.evidence)
    assert record.evidence == sorted(set(record.evidence))
    assert record.summary.removesuffix(".") in captions
    assert caption_class(record.summary) == record.category
    assert record.reason == REASONS[record.category]


@settings(deadline=None)
@given(videos)
def test_an_explanation_survives_being_written_and_parsed(captions: list[str]) -> None:
    record = explain(captions)
    assert parse_explanation(record.model_dump_json(), CLASSES, len(captions)) == record


@settings(deadline=None)
@given(videos)
def test_the_class_most_captions_speak_of_is_told(captions: list[str]) -> None:
    spoken = [caption_class(caption) for caption in captions]
    category = explain(captions).category
    if category == NORMAL:
        assert all(spoken.count(label) < 3 for label in CLASSES[1:])
    else:
        assert spoken.count(category) == max(spoken.count(label) for label in CLASSES[1:])


def test_two_abnormal_captions_among_many_are_taken_for_slips() -> None:
    assert explain([*NORMALS[:5], ARSON[0], ARSON[0]]).category == NORMAL
    assert explain([*NORMALS[:5], ARSON[0], ARSON[0], ARSON[1]]).category == "Arson"


def test_a_lone_caption_is_believed() -> None:
    assert explain([ARSON[0]]).category == "Arson"
    assert explain([ARSON[0], FIGHT[0]]).category in ("Arson", "Fighting")


def test_the_summary_is_the_caption_that_is_said_most_often() -> None:
    assert explain([ARSON[1], ARSON[0], ARSON[0]]).summary == f"{ARSON[0]}."


@pytest.mark.parametrize("label", CLASSES)
def test_every_class_has_16_distinct_phrases_of_its_own(label: str) -> None:
    assert len(set(PHRASES[label])) == len(PHRASES[label]) == 16
    others = {phrase for name, phrases in PHRASES.items() if name != label for phrase in phrases}
    assert not others & set(PHRASES[label])


def test_phrases_and_reasons_are_there_for_every_class_in_its_order() -> None:
    assert tuple(PHRASES) == tuple(REASONS) == CLASSES
