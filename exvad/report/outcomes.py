"""Outcomes: how an analysis compares with the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from exvad.report.report_video import ReportVideo


@dataclass(frozen=True)
class Outcome:
    """The result of comparing an analysis with the ground truth.

    Args:
        key: identifier in the page.
        name: name for the reader.
        meaning: explanation for the reader.
        counted: what a number of such videos is called; empty for the name.
    """

    key: str
    name: str
    meaning: str
    counted: str = ""

    def count(self, number: int) -> str:
        """Return how many videos have this outcome, such as "2 with an event"."""
        return f"{number} {self.counted or self.name.lower()}"


OUTCOMES = {
    outcome.key: outcome
    for outcome in (
        Outcome("found", "Found", "abnormal, found at the right time with the right class"),
        Outcome(
            "wrong-class",
            "Wrong class",
            "abnormal and found, but with another class",
            "with a wrong class",
        ),
        Outcome("missed", "Missed", "abnormal, but nothing was found at the right time"),
        Outcome(
            "false-alarm", "False alarm", "normal, but an event was found", "with a false alarm"
        ),
        Outcome("correct-normal", "Correctly normal", "normal, and nothing was found"),
        Outcome("event", "Event found", "an abnormal event was found", "with an event"),
        Outcome("no-event", "Nothing found", "no abnormal event was found", "without an event"),
    )
}


def find_outcome(video: ReportVideo) -> Outcome:
    """Compare the events of a video with its ground truth.

    Of several true events one must be found at the right time with the right class. Without ground
    truth the outcome is whether an event was found.
    """
    events, true_classes = video.analysis.events, video.true_classes
    if not true_classes:
        return OUTCOMES["event" if events else "no-event"]
    if true_classes == {video.normal}:
        return OUTCOMES["false-alarm" if events else "correct-normal"]
    hits = events
    if video.true_events:
        hits = [
            event
            for event in events
            if any(event.start < end and start < event.end for start, end, _ in video.true_events)
        ]
    if not hits:
        return OUTCOMES["missed"]
    return OUTCOMES["found" if any(hit.label in true_classes for hit in hits) else "wrong-class"]


def temporal_iou(
    found: Sequence[tuple[float, float]], true: Sequence[tuple[float, float]]
) -> float:
    """Return the temporal IoU of two sets of (start, end) spans, 0 to 1."""
    edges = sorted({moment for span in (*found, *true) for moment in span})
    intersection = union = 0.0
    for left, right in pairwise(edges):
        covered = [
            any(start <= left and right <= end for start, end in spans) for spans in (found, true)
        ]
        intersection += (right - left) * all(covered)
        union += (right - left) * any(covered)
    return intersection / union if union else 0.0
