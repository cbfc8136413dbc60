"""One video's card in the report: what happened, when and why, in plain words."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from exvad.report.figures import (
    Timeline,
    TrueEvent,
    clock,
    kind_hue,
    kind_name,
    percent,
    timeline,
    when,
)
from exvad.results import Analysis, DetectedEvent


@dataclass(frozen=True)
class ReportVideo:
    """One video of a report.

    Args:
        analysis: what the detector said.
        frames: JPEG bytes by 1-based caption number; only the frames to be shown.
        truth_label: the true class, where it is known.
        truth_events: what really happened: (start, end, class), in seconds.

    Raises:
        ValueError: a frame belongs to no caption of the analysis.
    """

    analysis: Analysis
    frames: Mapping[int, bytes] = field(default_factory=dict)
    truth_label: str | None = None
    truth_events: tuple[TrueEvent, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.analysis.captions)
        if strange := sorted(n for n in self.frames if not 1 <= n <= count):
            raise ValueError(
                f"{self.analysis.video}: frames {strange} belong to no caption; "
                f"captions are numbered 1 to {count}"
            )


@dataclass(frozen=True)
class Outcome:
    """How an answer compares with the truth, or what was answered where none is known."""

    key: str
    name: str
    meaning: str


OUTCOMES = {
    outcome.key: outcome
    for outcome in (
        Outcome("found", "Found", "abnormal, found at the right time and named rightly"),
        Outcome("misnamed", "Misnamed", "abnormal and found, but given another name"),
        Outcome("missed", "Missed", "abnormal, but nothing was reported at the right time"),
        Outcome("false-alarm", "False alarm", "ordinary, but something was reported"),
        Outcome("right", "Rightly quiet", "ordinary, and nothing was reported"),
        Outcome("flagged", "Something found", "something abnormal was reported"),
        Outcome("quiet", "Nothing found", "nothing abnormal was reported"),
    )
}


def outcome(video: ReportVideo) -> Outcome:
    """Compare what was found with the truth; a video of several events needs one of them right."""
    found, true = video.analysis.events, _true_kinds(video)
    normal = video.analysis.classes[0]
    if not true:
        return OUTCOMES["flagged" if found else "quiet"]
    if true == {normal}:
        return OUTCOMES["false-alarm" if found else "right"]
    hits = found
    if video.truth_events:
        hits = [
            f for f in found if any(f.start < e and s < f.end for s, e, _ in video.truth_events)
        ]
    if not hits:
        return OUTCOMES["missed"]
    return OUTCOMES["found" if any(hit.label in true for hit in hits) else "misnamed"]


def _true_kinds(video: ReportVideo) -> set[str]:
    return {kind for _, _, kind in video.truth_events} | {
        kind for kind in [video.truth_label] if kind is not None
    }


@dataclass(frozen=True)
class Headline:
    """The card's first sentence; `kind` is empty where nothing was found."""

    kind: str
    hue: float | None
    rest: str

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.kind}{self.rest}"


@dataclass(frozen=True)
class Thumb:
    """An evidence frame under the timeline."""

    number: int
    left: float
    time: str
    text: str
    uri: str
    cited: bool
    seconds: float


@dataclass(frozen=True)
class CaptionRow:
    """A caption in the list of all captions."""

    number: int
    time: str
    raw: str
    text: str
    cited: bool
    kind: str  # of the event it lies in
    hue: float | None


@dataclass(frozen=True)
class Card:
    """Everything a template needs to show one video."""

    anchor: str
    name: str
    headline: Headline
    also: list[str]
    truth: str
    outcome: Outcome
    kinds: list[str]
    summary: str
    reason: str
    disagreement: str
    cites: list[tuple[int, str]]  # caption number, anchor
    timeline: Timeline
    thumbs: list[Thumb]
    captions: list[CaptionRow]
    corrected: int
    problems: list[str]
    facts: str


def card(video: ReportVideo, anchor: str) -> Card:
    """Prepare one video for the template.

    Args:
        video: the video.
        anchor: the card's unique name within the page.
    """
    analysis, explanation = video.analysis, video.analysis.explanation
    normal = analysis.classes[0]
    strongest = sorted(analysis.events, key=lambda event: (-event.score, event.start))
    cited = sorted(
        {n for n in explanation.evidence if 1 <= n <= len(analysis.captions)} if explanation else ()
    )
    drawing = timeline(analysis, video.truth_events)
    captions = _caption_rows(analysis, cited)
    kinds = {event.label for event in analysis.events} | _true_kinds(video)
    return Card(
        anchor=anchor,
        name=analysis.video,
        headline=headline(analysis),
        also=[_event_words(event) for event in sorted(strongest[1:], key=lambda e: e.start)],
        truth=_truth_sentence(video),
        outcome=outcome(video),
        kinds=sorted(kind_name(kind) for kind in kinds if kind != normal),
        summary=explanation.summary if explanation else "",
        reason=explanation.reason if explanation else "",
        disagreement=_disagreement(analysis),
        cites=[(n, f"{anchor}-{'frame' if n in video.frames else 'caption'}-{n}") for n in cited],
        timeline=drawing,
        thumbs=[
            Thumb(
                number=number,
                left=round(100 * analysis.captions[number - 1].time / drawing.length, 2),
                time=clock(analysis.captions[number - 1].time),
                text=analysis.captions[number - 1].text,
                uri="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
                cited=number in cited,
                seconds=analysis.captions[number - 1].time,
            )
            for number, jpeg in sorted(
                video.frames.items(), key=lambda item: analysis.captions[item[0] - 1].time
            )
        ],
        captions=captions,
        corrected=sum(row.raw != row.text for row in captions),
        problems=list(analysis.problems),
        facts=(
            f"{clock(analysis.duration)} long, {analysis.num_frames:,} "
            f"frame{'s' if analysis.num_frames > 1 else ''} at "
            f"{analysis.fps:.4g} per second. Answered by {analysis.model}."
        ),
    )


def headline(analysis: Analysis) -> Headline:
    """Say in one sentence what was found: the strongest event, when, and how sure it is."""
    if not analysis.events:
        return Headline("", None, "Nothing abnormal found")
    event = max(analysis.events, key=lambda e: (e.score, -e.start))
    rest = f" {when(event.start, event.end)} — confidence {percent(event.confidence)}"
    return Headline(kind_name(event.label), kind_hue(event.label, analysis.classes), rest)


def _event_words(event: DetectedEvent) -> str:
    words = f"{kind_name(event.label)} {when(event.start, event.end)}"
    return f"{words} (confidence {percent(event.confidence)})"


def _truth_sentence(video: ReportVideo) -> str:
    true = _true_kinds(video)
    if not true:
        return ""
    if true == {video.analysis.classes[0]}:
        return "In truth, nothing abnormal happens."
    if not video.truth_events:
        return f"In truth: {', '.join(sorted(map(kind_name, true)))}, at times unknown."
    events = ", ".join(f"{kind_name(kind)} {when(s, e)}" for s, e, kind in video.truth_events)
    sentence = f"In truth: {events}."
    if video.analysis.events:
        found = [(event.start, event.end) for event in video.analysis.events]
        share = overlap(found, [(start, end) for start, end, _ in video.truth_events])
        sentence += f" Found and true times overlap by {percent(share)}."
    return sentence


def overlap(found: Sequence[tuple[float, float]], true: Sequence[tuple[float, float]]) -> float:
    """Temporal intersection over union of two sets of (start, end) stretches, 0 to 1."""
    edges = sorted({moment for stretch in (*found, *true) for moment in stretch})
    both = either = 0.0
    for start, end in pairwise(edges):
        hits = [any(s <= start and end <= e for s, e in group) for group in (found, true)]
        both += (end - start) * all(hits)
        either += (end - start) * any(hits)
    return both / either if either else 0.0


def _disagreement(analysis: Analysis) -> str:
    """Say where the two halves of the system answer differently."""
    normal, explanation = analysis.classes[0], analysis.explanation
    found = {event.label for event in analysis.events}
    if explanation and explanation.anomalous and not found:
        return (
            f"The explanation sees {kind_name(explanation.category).lower()}, "
            "but no moment stays above the alarm line."
        )
    if explanation and not explanation.anomalous and found:
        return "The explanation sees nothing abnormal; the score does."
    if explanation and found and explanation.category not in found:
        names = " and ".join(sorted(kind_name(label).lower() for label in found))
        return f"The explanation calls it {kind_name(explanation.category).lower()}, not {names}."
    if not found and analysis.label != normal:
        return (
            f"As a whole the video looks most like {kind_name(analysis.label).lower()}, "
            "but no moment stays above the alarm line."
        )
    return ""


def _caption_rows(analysis: Analysis, cited: Sequence[int]) -> list[CaptionRow]:
    inside = {number: event for event in analysis.events for number in event.captions}
    rows = []
    for number, caption in enumerate(analysis.captions, 1):
        event = inside.get(number)
        rows.append(
            CaptionRow(
                number=number,
                time=clock(caption.time),
                raw=caption.raw,
                text=caption.text,
                cited=number in cited,
                kind=kind_name(event.label) if event else "",
                hue=kind_hue(event.label, analysis.classes) if event else None,
            )
        )
    return rows
