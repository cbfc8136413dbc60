"""The card of one video in a report: what happened, when and why."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exvad.config.counts import count_of
from exvad.report.formatting import (
    class_hue,
    format_percent,
    format_span,
    format_time,
)
from exvad.report.outcomes import Outcome, find_outcome, temporal_iou
from exvad.report.report_video import ReportVideo
from exvad.report.timeline import Timeline, build_timeline
from exvad.results import Analysis, DetectedEvent
from exvad.results.disagreement import class_name, describe_disagreement


@dataclass(frozen=True)
class CardTitle:
    """The title of a card.

    Args:
        event_class: class of the strongest event; empty without events.
        hue: hue of the class in degrees; None for a class without color.
        rest: the rest of the sentence.
    """

    event_class: str
    hue: float | None
    rest: str

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.event_class}{self.rest}"


@dataclass(frozen=True)
class Thumbnail:
    """A frame below the timeline.

    Args:
        number: 1-based number of its caption.
        left: position on the timeline in percent.
        time: time as text.
        seconds: time in seconds.
        caption: its caption.
        uri: the image as a data URI.
        cited: whether the explanation cites it.
    """

    number: int
    left: float
    time: str
    seconds: float
    caption: str
    uri: str
    cited: bool


@dataclass(frozen=True)
class CaptionRow:
    """A row in the list of captions.

    Args:
        number: 1-based number.
        time: time as text.
        raw: the caption as the captioner wrote it.
        text: the cleaned caption.
        corrected: whether cleaning replaced it by another.
        cited: whether the explanation cites it.
        event_class: class of the event around it; empty outside of events.
        hue: hue of that class.
    """

    number: int
    time: str
    raw: str
    text: str
    corrected: bool
    cited: bool
    event_class: str
    hue: float | None


@dataclass(frozen=True)
class Card:
    """The card of one video as data for the template.

    Args:
        anchor: unique id within the page.
        name: name of the video.
        title: title of the card.
        domain: that the video lies outside the checkpoint's domain; empty if it does not.
        other_events: all events but the strongest, in words.
        truth: the ground truth in words; empty if it is unknown.
        outcome: how the analysis compares with the ground truth.
        classes: names of the abnormal classes that were found or are true.
        summary: summary of the explanation; empty without one.
        reason: reason of the explanation.
        disagreement: how scores and explanation differ; empty if they agree.
        evidence: caption number and link target of every cited caption.
        timeline: the timeline.
        thumbnails: frames in time order.
        captions: all captions.
        caption_noun: what they are: captions, or scenes of the memory without training.
        corrected: how many captions were corrected.
        problems: what could not be read.
        facts: length, frames and model in words.
    """

    anchor: str
    name: str
    title: CardTitle
    domain: str
    other_events: list[str]
    truth: str
    outcome: Outcome
    classes: list[str]
    summary: str
    reason: str
    disagreement: str
    evidence: list[tuple[int, str]]
    timeline: Timeline
    thumbnails: list[Thumbnail]
    captions: list[CaptionRow]
    caption_noun: Literal["caption", "scene"]
    corrected: int
    problems: list[str]
    facts: str


def build_card(video: ReportVideo, anchor: str) -> Card:
    """Build the card of a video.

    Args:
        video: the video.
        anchor: unique id within the page.
    """
    analysis, explanation = video.analysis, video.analysis.explanation
    cited = _cited_captions(analysis)
    timeline = build_timeline(analysis, video.true_events)
    captions = _caption_rows(analysis, cited)
    labels = {event.label for event in analysis.events} | video.true_classes
    frame_links = {number: f"{anchor}-frame-{number}" for number in video.frames}
    return Card(
        anchor=anchor,
        name=analysis.video,
        title=card_title(analysis),
        domain=_domain_notice(analysis, "outside"),
        other_events=_other_events(analysis),
        truth=_describe_truth(video),
        outcome=find_outcome(video),
        classes=sorted(class_name(label) for label in labels if label != video.normal),
        summary=explanation.summary if explanation else "",
        reason=explanation.reason if explanation else "",
        disagreement=describe_disagreement(analysis),
        evidence=[(n, frame_links.get(n, f"{anchor}-caption-{n}")) for n in cited],
        timeline=timeline,
        thumbnails=_thumbnails(video, timeline.length, cited),
        captions=captions,
        caption_noun="scene" if any(c.is_scene for c in analysis.captions) else "caption",
        corrected=sum(row.corrected for row in captions),
        problems=list(analysis.problems),
        facts=_describe_file(analysis),
    )


def _domain_notice(analysis: Analysis, state: Literal["outside", "unknown"]) -> str:
    """Return what is said about the domain if the video is in this state; else empty."""
    check = analysis.domain
    return check.text if check is not None and check.state == state else ""


def card_title(analysis: Analysis) -> CardTitle:
    """Return the strongest event with its time and confidence, or that there is none."""
    if not analysis.events:
        return CardTitle("", None, "Nothing abnormal found")
    event = max(analysis.events, key=lambda event: (event.score, -event.start))
    span, confidence = format_span(event.start, event.end), format_percent(event.confidence)
    hue = class_hue(event.label, analysis.classes)
    return CardTitle(class_name(event.label), hue, f" {span} — confidence {confidence}")


def _cited_captions(analysis: Analysis) -> list[int]:
    """Return the 1-based numbers of the captions that the explanation cites."""
    evidence = analysis.explanation.evidence if analysis.explanation else []
    return sorted({number for number in evidence if 1 <= number <= len(analysis.captions)})


def _other_events(analysis: Analysis) -> list[str]:
    """Describe all events but the strongest, in time order."""
    ranked = sorted(analysis.events, key=lambda event: (-event.score, event.start))
    return [_describe_event(event) for event in sorted(ranked[1:], key=lambda event: event.start)]


def _describe_event(event: DetectedEvent) -> str:
    span, confidence = format_span(event.start, event.end), format_percent(event.confidence)
    return f"{class_name(event.label)} {span} (confidence {confidence})"


def _thumbnails(video: ReportVideo, length: float, cited: Sequence[int]) -> list[Thumbnail]:
    """Return the frames of a video in time order.

    Args:
        video: the video.
        length: seconds of the timeline.
        cited: numbers of the captions that the explanation cites.
    """
    thumbnails = []
    for number, jpeg in video.frames.items():
        caption = video.analysis.captions[number - 1]
        thumbnails.append(
            Thumbnail(
                number=number,
                left=round(100 * caption.time / length, 2),
                time=format_time(caption.time),
                seconds=caption.time,
                caption=caption.text,
                uri="data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
                cited=number in cited,
            )
        )
    return sorted(thumbnails, key=lambda thumbnail: (thumbnail.seconds, thumbnail.number))


def _caption_rows(analysis: Analysis, cited: Sequence[int]) -> list[CaptionRow]:
    event_of = {number: event for event in analysis.events for number in event.captions}
    rows = []
    for number, caption in enumerate(analysis.captions, 1):
        event = event_of.get(number)
        rows.append(
            CaptionRow(
                number=number,
                time=format_time(caption.time),
                raw=caption.raw,
                text=caption.text,
                corrected=caption.raw != caption.text and not caption.is_scene,
                cited=number in cited,
                event_class=class_name(event.label) if event else "",
                hue=class_hue(event.label, analysis.classes) if event else None,
            )
        )
    return rows


def _describe_truth(video: ReportVideo) -> str:
    """Return the ground truth in words, and how well the found times agree with it."""
    true_classes, events = video.true_classes, video.analysis.events
    if not true_classes:
        return ""
    if true_classes == {video.normal}:
        return "Ground truth: nothing abnormal."
    if not video.true_events:
        return f"Ground truth: {', '.join(sorted(map(class_name, true_classes)))}, times unknown."
    descriptions = [f"{class_name(c)} {format_span(s, e)}" for s, e, c in video.true_events]
    truth = f"Ground truth: {', '.join(descriptions)}."
    if not events:
        return truth
    found_spans = [(event.start, event.end) for event in events]
    iou = temporal_iou(found_spans, [(start, end) for start, end, _ in video.true_events])
    return f"{truth} Found and true times overlap by {format_percent(iou)}."


def _describe_file(analysis: Analysis) -> str:
    frames = count_of(analysis.num_frames, "frame")
    facts = (
        f"Length {format_time(analysis.duration)}, {frames}, {analysis.fps:.4g} frames per second. "
        f"Model: {analysis.model}."
    )
    return " ".join([facts, _domain_notice(analysis, "unknown")]).strip()
