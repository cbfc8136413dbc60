"""Events that exvad found: `analyses.jsonl` of an evaluation, and `exvad analyze --json`."""

from __future__ import annotations

from pathlib import Path

from exvad.data.annotations.annotated import AnnotatedVideo, Annotations
from exvad.data.annotations.parsing import (
    as_dict,
    as_frame,
    as_list,
    as_number,
    as_text,
    parse_json,
    read_text,
)
from exvad.data.records import TimedEvent


def read_analyses(path: Path) -> Annotations:
    """Read a file with an analysis per line; the events have scores.

    Raises:
        AnnotationError: a line is no analysis.
    """
    videos: list[AnnotatedVideo] = []
    classes: dict[str, None] = {}
    notes: list[str] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        row = as_dict(parse_json(line, where), where)
        if "error" in row:
            notes.append(f"{where}: {row.get('video')} was not analyzed and is left out")
            continue
        names = [as_text(name, where) for name in as_list(row.get("classes"), where)]
        classes |= dict.fromkeys(names)
        events: list[TimedEvent] = []
        scores: list[float] = []
        for item in as_list(row.get("events"), f"{where}: events"):
            event = as_dict(item, where)
            start, end = as_number(event.get("start"), where), as_number(event.get("end"), where)
            events.append(TimedEvent(start, end, as_text(event.get("label"), where)))
            scores.append(as_number(event.get("score"), where))
        videos.append(
            AnnotatedVideo(
                as_text(row.get("video"), f"{where}: video"),
                () if events else tuple(names[:1]),
                timed_events=tuple(events),
                scores=tuple(scores),
                fps=as_number(row.get("fps"), where) or None,
                num_frames=as_frame(row.get("num_frames"), where) or None,
                predicted=True,
            )
        )
    return Annotations(tuple(videos), tuple(classes), tuple(notes))
