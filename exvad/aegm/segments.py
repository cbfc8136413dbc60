"""Long videos in segments: their captions are split, and the explanations of the parts combined.

A segment is a run of successive captions. The prompt of a segment and the answer to it number its
own captions from 1; everywhere else numbers of captions are those of the whole video.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from exvad.aegm.explanation_format import ExplanationError
from exvad.results import Explanation

_SENTENCE_ENDS = (".", "!", "?", ";")


def split_captions(count: int, limit: int) -> list[range]:
    """Split the captions of a video into as few segments as possible, nearly equally long.

    Args:
        count: number of captions; 0 gives one empty segment.
        limit: maximum number of captions of a segment; 0 for one segment of any length.

    Returns:
        The indices of each segment's captions, in order.
    """
    segments = max(1, -(-count // limit)) if limit else 1
    edges = [count * index // segments for index in range(segments + 1)]
    return [range(first, end) for first, end in pairwise(edges)]


def place_explanations(
    answers: Sequence[Explanation | ExplanationError], segments: Sequence[range]
) -> list[Explanation] | ExplanationError:
    """Return the explanations of a video's segments with the numbers of the whole video.

    Args:
        answers: for each segment its explanation, or the error of its last answer.
        segments: the indices of each segment's captions.

    Returns:
        The explanations, or the first error. That of one segment among several names the segment.
    """
    placed = []
    for number, (answer, segment) in enumerate(zip(answers, segments, strict=True), 1):
        if isinstance(answer, ExplanationError):
            if len(segments) == 1:
                return answer
            captions = f"captions {segment.start + 1} to {segment.stop}"
            return type(answer)(f"segment {number} of {len(segments)} ({captions}): {answer}")
        evidence = [segment.start + caption for caption in answer.evidence]
        placed.append(answer.model_copy(update={"evidence": evidence}))
    return placed


def combine_explanations(explanations: Sequence[Explanation]) -> Explanation:
    """Combine the explanations of a video's segments into that of the video.

    A video is abnormal if one of its segments is. Then only its abnormal segments speak: their
    sentences and their evidence in order of time, and the class of the segment that cites most
    captions, the earliest of several. Of a normal video all segments speak. Equal sentences are
    said once.

    Args:
        explanations: of the segments in order of time, at least one, from `place_explanations`.
    """
    if len(explanations) == 1:
        return explanations[0]
    speaking = [segment for segment in explanations if segment.anomalous] or explanations
    return Explanation(
        anomalous=speaking[0].anomalous,
        category=max(speaking, key=lambda segment: len(segment.evidence)).category,
        summary=_join_sentences([segment.summary for segment in speaking]),
        reason=_join_sentences([segment.reason for segment in speaking]),
        evidence=[caption for segment in speaking for caption in segment.evidence],
    )


def _join_sentences(sentences: Sequence[str]) -> str:
    stripped = [sentence.strip() for sentence in sentences]
    # A sentence without an end would run into the next one.
    ended = [text if text.endswith(_SENTENCE_ENDS) else f"{text}." for text in stripped]
    return " ".join(dict.fromkeys(ended))
