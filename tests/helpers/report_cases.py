"""Videos and runs for reports, and a parser of the pages."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any

from PIL import Image

from exvad.report.pages import RunRecord
from exvad.report.report_video import ReportVideo
from exvad.results import Analysis, Caption, DetectedEvent, Explanation

CLASSES = ["Normal", "Arson", "Fighting", "RoadAccidents"]
FPS, STRIDE, SECONDS, CAPTIONS = 25.0, 16, 32.0, 16
FIGHT = (12.0, 21.0, "Fighting")
SUMMARY: dict[str, Any] = {
    "frame_auc": 0.931,
    "frame_ap": 0.874,
    "map": {
        "strict": {"0.1": 48.2, "0.5": 19.3, "average": 35.2},
        "vadclip": {"0.1": 41.0, "0.5": 15.8, "average": 29.1},
    },
    "class_accuracy": 0.814,
    "videos": 43,
    "failed": 1,
    "explained": 42,
    "explanation_class_accuracy": 0.857,
    "seconds": {"preprocess": 141.3, "train": 95.5},
    "seconds_total": 353.9,
    "variants": {
        "none": {"frame_auc": 0.901, "map_strict_average": 28.4},
        "explanation": {"frame_auc": 0.931, "map_strict_average": 35.2},
    },
    "confusion": [[9, 0, 0, 1], [0, 4, 1, 0], [0, 1, 5, 0], [0, 0, 0, 0]],
}
HISTORY = [
    {"epoch": epoch, "loss": 2 / epoch, "val_auc": 0.9 - 0.3 / epoch, "note": "warm"}
    for epoch in (1, 2, 3)
]
SENTENCES = ["people walk past each other", "a person punches a person"]


def make_analysis(
    *events: tuple[float, float, str],
    name: str = "street.mp4",
    label: str | None = None,
    explained: str | None = None,
    score: float = 0.93,
    sentence: str | None = None,
    problems: tuple[str, ...] = (),
) -> Analysis:
    """Return an analysis of 32 seconds with 16 captions, of which the fifth was corrected.

    Args:
        events: found events: start and end in seconds, class.
        name: name of the video.
        label: class of the video; None for that of the first event.
        explained: class that the explanation names; None for no explanation.
        score: score inside events.
        sentence: text of all captions and of the explanation; None for texts of a fight.
        problems: what could not be read.
    """
    times = [index * STRIDE / FPS for index in range(int(SECONDS * FPS / STRIDE))]
    inside = [any(start <= time <= end for start, end, _ in events) for time in times]
    caption_times = [(index + 0.5) * SECONDS / CAPTIONS for index in range(CAPTIONS)]
    captions = [
        Caption(
            time=time,
            raw="a dog on a sofa" if index == 4 else sentence or SENTENCES[index % 2],
            text=sentence or SENTENCES[index % 2],
        )
        for index, time in enumerate(caption_times)
    ]
    detected = [
        DetectedEvent(
            start=start,
            end=end,
            label=event_class,
            score=score,
            confidence=score,
            captions=[n for n, time in enumerate(caption_times, 1) if start <= time <= end],
        )
        for start, end, event_class in events
    ]
    explanation = explained and Explanation(
        anomalous=explained != "Normal",
        category=explained,
        summary=sentence or "Two people stand at a wall.",
        reason=sentence or "This is fighting because people hit each other.",
        evidence=[8, 9],
    )
    return Analysis(
        video=name,
        duration=SECONDS,
        num_frames=int(SECONDS * FPS),
        fps=FPS,
        classes=CLASSES,
        label=label or (events[0][2] if events else "Normal"),
        anomaly_score=score,
        threshold=0.5,
        times=times,
        scores=[score if hit else 0.08 for hit in inside],
        probabilities=[[0.1, 0.2, 0.6, 0.1] for _ in times],
        events=detected,
        explanation=explanation or None,
        captions=captions,
        problems=list(problems),
        model="demo",
    )


def make_jpeg(grey: int = 120) -> bytes:
    """Return a grey JPEG image."""
    buffer = io.BytesIO()
    Image.new("RGB", (213, 160), (grey, grey, grey)).save(buffer, "JPEG")
    return buffer.getvalue()


def make_videos() -> list[ReportVideo]:
    """Return four videos: a fight found, a normal one, a missed fire, and a false alarm."""
    frames = {number: make_jpeg(20 * number) for number in (7, 8, 9)}
    return [
        ReportVideo(
            make_analysis(FIGHT, explained="Fighting"),
            frames,
            "Fighting",
            ((11.0, 22.0, "Fighting"),),
        ),
        ReportVideo(make_analysis(name="quiet.mp4", explained="Normal"), {}, "Normal"),
        ReportVideo(make_analysis(name="missed.mp4"), {}, "Arson", ((5.0, 9.0, "Arson"),)),
        ReportVideo(
            make_analysis((3.0, 6.0, "Arson"), name="alarm.mp4", problems=("frame 9 is broken",)),
            {},
            "Normal",
        ),
    ]


def make_run(summary: dict[str, Any] = SUMMARY) -> RunRecord:
    """Return a run with these videos."""
    notes = ["No evidence of accuracy on real footage."]
    return RunRecord("A run", summary, make_videos(), HISTORY, CLASSES, notes)


class Page(HTMLParser):
    """The content of a page; it fails if tags are not balanced.

    Args:
        html: the page.

    Attributes:
        open: tags that are not closed.
        tags: all tags.
        ids: all ids.
        sources: all values of `href` and `src`.
        text: the text outside of scripts and style sheets.
        attributes: all tags with their attributes.
    """

    VOID = frozenset({"meta", "img", "input", "br", "path", "link"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.sources += [value for key, value in attrs if key in ("href", "src") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data
