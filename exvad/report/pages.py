"""The HTML report: one self-contained page that says what happened in videos, when, and why.

`render_analyses` shows videos; `render_run` also shows how a trained detector was measured. Both
return one file without any outside reference, readable on a phone, in print and by ear.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvad.report.cards import OUTCOMES, Card, ReportVideo, card
from exvad.report.figures import confusion_rows, kind_hue, kind_name, training_curves
from exvad.report.measures import headline_stats, map_table, stage_times, variants_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.results import Analysis

__all__ = ["ReportVideo", "RunRecord", "evidence_frames", "render_analyses", "render_run"]

ReadFrames = Callable[["str | Path", Sequence[float], int], "list[NDArray[np.uint8]]"]

_TEMPLATES = Path(__file__).parent / "templates"
_JPEG_QUALITY = 72


@dataclass(frozen=True)
class RunRecord:
    """A run as the report shows it: a detector trained, and measured on test videos.

    Args:
        title: the page's title.
        summary: measured figures, as in the run's `summary.json`; a section whose figures are
            missing is left out. AUC, AP and accuracies are shares of 0 to 1, mAP is in percent.
        videos: the test videos to show.
        history: one record per epoch, with `epoch` and any numeric quantities.
        classes: class names, the normal one first.
        notes: what a reader must know before believing the figures; shown at the top.
    """

    title: str
    summary: Mapping[str, Any]
    videos: Sequence[ReportVideo]
    history: Sequence[Mapping[str, Any]] = ()
    classes: Sequence[str] = ()
    notes: Sequence[str] = ()


def render_analyses(videos: Sequence[ReportVideo], title: str) -> str:
    """Render answers about videos as one self-contained HTML page.

    Args:
        videos: the videos, in the order in which to show them.
        title: the page's title.
    """
    return _render(title=title, run=None, **_video_views(videos))


def render_run(run: RunRecord) -> str:
    """Render a run as one self-contained HTML page.

    Raises:
        ValueError: the confusion table does not fit the classes.
    """
    summary, views = run.summary, _video_views(run.videos)
    confusion = summary.get("confusion")
    view = {
        "notes": list(run.notes),
        "stats": headline_stats(summary),
        "variants": variants_table(summary),
        "map": map_table(summary),
        "confusion": confusion_rows(confusion, run.classes) if confusion else [],
        "curves": training_curves(run.history),
        "history": [dict(record) for record in run.history],
        "history_keys": list(dict.fromkeys(key for record in run.history for key in record)),
        "stages": stage_times(summary),
        "failed": summary.get("failed"),
        "problems": [(shown, problem) for shown in views["cards"] for problem in shown.problems],
        "example": _example(run.videos),
    }
    return _render(title=run.title, run=view, **views)


def evidence_frames(
    path: str | Path,
    analysis: Analysis,
    limit: int = 6,
    short_side: int = 160,
    read: ReadFrames | None = None,
) -> dict[int, bytes]:
    """Read the captioned frames that tell a video's story, as small JPEG pictures.

    The frames the explanation cites come first, then those inside events, then others of the
    video; within each group they are spread evenly.

    Args:
        path: the video file the analysis is about.
        analysis: what the detector said.
        limit: most frames.
        short_side: pixels of a picture's shorter side; smaller frames keep their size.
        read: decodes frames, as `exvad.video.decoding.read_frames` does; None for that itself.

    Returns:
        JPEG bytes by 1-based caption number, in order of time.

    Raises:
        VideoError: the file can't be read.
    """
    from PIL import Image

    from exvad.video.decoding import read_frames

    numbers = _evidence_numbers(analysis, limit)
    times = [analysis.captions[number - 1].time for number in numbers]
    frames = {}
    pictures = (read or read_frames)(path, times, short_side)
    for number, picture in zip(numbers, pictures, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        frames[number] = buffer.getvalue()
    return frames


def _evidence_numbers(analysis: Analysis, limit: int) -> list[int]:
    everything = range(1, len(analysis.captions) + 1)
    cited = analysis.explanation.evidence if analysis.explanation else []
    inside = [number for event in analysis.events for number in event.captions]
    chosen: set[int] = set()
    for group in (cited, inside, everything):
        fresh = sorted({number for number in group if number in everything} - chosen)
        chosen |= set(_spread(fresh, limit - len(chosen)))
    return sorted(chosen)


def _spread(numbers: Sequence[int], count: int) -> Sequence[int]:
    if count >= len(numbers):
        return numbers
    return [numbers[int((i + 0.5) * len(numbers) / count)] for i in range(count)]


def _video_views(videos: Sequence[ReportVideo]) -> dict[str, Any]:
    cards = [card(video, f"v{number}") for number, video in enumerate(videos, 1)]
    outcomes = Counter(shown.outcome.key for shown in cards)
    kinds = Counter(kind for shown in cards for kind in shown.kinds)
    hues = {
        kind_name(label): kind_hue(label, video.analysis.classes)
        for video in videos
        for label in video.analysis.classes
    }
    return {
        "cards": cards,
        "outcomes": [(o, outcomes[o.key]) for o in OUTCOMES.values() if outcomes[o.key]],
        "kinds": [(kind, kinds[kind], hues.get(kind)) for kind in sorted(kinds)],
        "truth_known": any(shown.truth for shown in cards),
        "explained": any(shown.reason for shown in cards),
    }


def _example(videos: Sequence[ReportVideo]) -> Card | None:
    """One video that went well, to be shown first; None where there is nothing to choose from."""
    good = [
        video
        for video in videos
        if (explanation := video.analysis.explanation)
        and explanation.category == video.truth_label
        and card(video, "example").outcome == OUTCOMES["found"]
    ]
    if len(videos) < 2 or not good:
        return None
    best = max(good, key=lambda video: (len(video.frames), video.analysis.anomaly_score))
    return card(best, "example")


def _render(**context: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from exvad import __version__

    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_digest=base64.b64encode(digest).decode("ascii"),
        version=__version__,
        **context,
    )
