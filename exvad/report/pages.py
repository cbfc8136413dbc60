"""The HTML report: what happened in videos, when and why.

`render_analyses` shows videos; `render_run` also shows the metrics of a trained detector. Both
return one page that loads nothing from the network, for screens of any size, print and screen
readers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from exvad.report.cards import Card, build_card
from exvad.report.formatting import class_hue
from exvad.report.metric_tables import (
    confusion_rows,
    map_table,
    step_durations,
    summary_stats,
    variants_table,
)
from exvad.report.outcomes import OUTCOMES, find_outcome
from exvad.report.rendering import render
from exvad.report.report_video import ReportVideo
from exvad.report.training_curves import training_curves
from exvad.results.disagreement import class_name


@dataclass(frozen=True)
class RunRecord:
    """A run for the report: a detector, trained and measured on test videos.

    Args:
        title: title of the page.
        summary: the metrics, as in the run's `summary.json`. AUC, AP and accuracies are 0 to 1, mAP
            is percent. A section whose metrics are missing is dropped.
        videos: the test videos to show.
        history: one record per epoch, with `epoch` and any numeric metrics.
        classes: class names, the normal one first.
        notes: what a reader must know to judge the metrics; shown at the top.
    """

    title: str
    summary: Mapping[str, Any]
    videos: Sequence[ReportVideo]
    history: Sequence[Mapping[str, Any]] = ()
    classes: Sequence[str] = ()
    notes: Sequence[str] = ()


def render_analyses(
    videos: Sequence[ReportVideo], title: str, failed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Render analyses of videos as one self-contained HTML page.

    Args:
        videos: the videos, in the order of the page.
        title: title of the page.
        failed: the videos that could not be analyzed, name → reason.
    """
    return render("report.html.j2", title=title, run=None, failed=failed, **_video_values(videos))


def render_run(run: RunRecord) -> str:
    """Render a run as one self-contained HTML page.

    Raises:
        ValueError: the confusion matrix does not fit the classes.
    """
    summary, video_values = run.summary, _video_values(run.videos)
    confusion = summary.get("confusion")
    run_values = {
        "notes": list(run.notes),
        "stats": summary_stats(summary),
        "variants": variants_table(summary),
        "map": map_table(summary),
        "confusion": confusion_rows(confusion, run.classes) if confusion else [],
        "curves": training_curves(run.history),
        "history": [dict(record) for record in run.history],
        "history_keys": list(dict.fromkeys(key for record in run.history for key in record)),
        "steps": step_durations(summary),
        "failed": summary.get("failed"),
        "problems": [(card, text) for card in video_values["cards"] for text in card.problems],
        "example": _example(run.videos),
    }
    return render("report.html.j2", title=run.title, run=run_values, failed={}, **video_values)


def _video_values(videos: Sequence[ReportVideo]) -> dict[str, Any]:
    """Return the template's variables about videos."""
    cards = [build_card(video, f"v{number}") for number, video in enumerate(videos, 1)]
    outcomes = Counter(card.outcome.key for card in cards)
    classes = Counter(name for card in cards for name in card.classes)
    hues = {
        class_name(label): class_hue(label, video.analysis.classes)
        for video in videos
        for label in video.analysis.classes
    }
    return {
        "cards": cards,
        "outcomes": [
            (outcome, outcomes[key]) for key, outcome in OUTCOMES.items() if outcomes[key]
        ],
        "classes": [(name, classes[name], hues.get(name)) for name in sorted(classes)],
        "truth_known": any(card.truth for card in cards),
        "explained": any(card.reason and card.caption_noun == "caption" for card in cards),
        "matched": any(card.reason and card.caption_noun == "scene" for card in cards),
    }


def _example(videos: Sequence[ReportVideo]) -> Card | None:
    """Return the card of a correct analysis to show first; None if there is no choice."""
    correct = [
        video
        for video in videos
        if (explanation := video.analysis.explanation)
        and explanation.category == video.true_label
        and find_outcome(video) == OUTCOMES["found"]
    ]
    if len(videos) < 2 or not correct:
        return None
    best = max(correct, key=lambda video: (len(video.frames), video.analysis.anomaly_score))
    return build_card(best, "example")
