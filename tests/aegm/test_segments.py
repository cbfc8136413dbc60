"""Captions are split into nearly equal segments, and their explanations become one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.aegm.explanation_format import ExplanationError, RefusalError
from exvad.aegm.segments import combine_explanations, place_explanations, split_captions
from exvad.results import Explanation

CATEGORIES = ("Arson", "Fighting")


def explanation(category: str = "Normal", *evidence: int, text: str = "so") -> Explanation:
    return Explanation(
        anomalous=category != "Normal",
        category=category,
        summary=f"{text} it is",
        reason=f"because {text}.",
        evidence=list(evidence),
    )


@st.composite
def answered_segments(draw: st.DrawFn) -> tuple[list[range], list[Explanation]]:
    """Draw a video in segments, and the answer to each with the segment's own numbers."""
    limit = draw(st.integers(1, 6))
    segments = split_captions(draw(st.integers(1, 20)), limit)
    answers = [
        explanation(
            draw(st.sampled_from(("Normal", *CATEGORIES))),
            *draw(st.lists(st.integers(1, len(segment)), unique=True, max_size=3)),
            text=draw(st.sampled_from(("so", "thus", "hence"))),
        )
        for segment in segments
    ]
    return segments, answers


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.integers(1, 40))
def test_split_captions_gives_the_fewest_nearly_equal_runs(count: int, limit: int) -> None:
    segments = split_captions(count, limit)
    assert [index for segment in segments for index in segment] == list(range(count))
    lengths = [len(segment) for segment in segments]
    assert max(lengths) <= limit
    assert max(lengths) - min(lengths) <= 1
    assert len(segments) == max(1, -(-count // limit))


def test_split_captions_without_a_limit_gives_one_segment() -> None:
    assert split_captions(1000, 0) == [range(1000)]
    assert split_captions(0, 0) == [range(0)]


@settings(deadline=None, max_examples=40)
@given(answered_segments())
def test_place_explanations_cites_the_same_captions_of_the_whole_video(
    video: tuple[list[range], list[Explanation]],
) -> None:
    segments, answers = video
    placed = place_explanations(answers, segments)
    assert not isinstance(placed, ExplanationError)
    for segment, answer, whole in zip(segments, answers, placed, strict=True):
        assert [number - 1 for number in whole.evidence] == [
            segment[number - 1] for number in answer.evidence
        ]
        assert whole.text == answer.text


def test_place_explanations_names_the_segment_without_an_answer() -> None:
    segments = [range(4), range(4, 7)]
    error = place_explanations([explanation(), RefusalError("refused: too violent")], segments)
    assert isinstance(error, RefusalError)
    assert str(error) == "segment 2 of 2 (captions 5 to 7): refused: too violent"
    only = ExplanationError("no JSON object")
    assert place_explanations([only], [range(7)]) is only


@settings(deadline=None, max_examples=40)
@given(answered_segments())
def test_combine_explanations_says_what_its_abnormal_segments_say(
    video: tuple[list[range], list[Explanation]],
) -> None:
    segments, answers = video
    placed = place_explanations(answers, segments)
    assert not isinstance(placed, ExplanationError)
    whole = combine_explanations(placed)
    abnormal = [segment for segment in placed if segment.anomalous]
    speaking = abnormal or placed
    assert whole.anomalous == bool(abnormal)
    assert whole.evidence == [number for segment in speaking for number in segment.evidence]
    most = max(len(segment.evidence) for segment in speaking)
    first = next(segment for segment in speaking if len(segment.evidence) == most)
    assert whole.category == first.category
    assert all(segment.reason in whole.reason for segment in speaking)
    assert len(set(whole.reason.split(". "))) == len(whole.reason.split(". ")), "said once"
    if len(placed) == 1:
        assert whole == placed[0]


def test_combine_explanations_of_an_abnormal_video_in_order_of_time() -> None:
    whole = combine_explanations(
        [
            explanation("Normal", 1, 2, 3, 4, text="calm"),
            explanation("Arson", 5, text="a fire"),
            explanation("Fighting", 9, 10, text="a fight"),
            explanation("Arson", 13, 14, text="a fire"),
        ]
    )
    assert (whole.anomalous, whole.category) == (True, "Fighting")
    assert whole.evidence == [5, 9, 10, 13, 14]
    assert whole.text == "a fire it is. a fight it is. because a fire. because a fight."


def test_combine_explanations_of_a_normal_video_says_equal_sentences_once() -> None:
    texts = {1: "calm", 4: "empty", 7: "calm"}
    segments = [explanation("Normal", number, text=text) for number, text in texts.items()]
    whole = combine_explanations(segments)
    assert (whole.anomalous, whole.category, whole.evidence) == (False, "Normal", [1, 4, 7])
    assert whole.text == "calm it is. empty it is. because calm. because empty."
