"""Reviews of analyses in the database: what persons decided about the events of videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from exvad.serving.queue.database import Database
from exvad.serving.schemas.analyses import AnalysisState
from exvad.serving.schemas.reviews import Review


class AnalyzedVideo(NamedTuple):
    """A submitted video with its review.

    Args:
        analysis_id: id of its analysis.
        path: the video.
        state: state of its analysis.
        review: what a person decided; None if nobody has looked at it.
    """

    analysis_id: str
    path: Path
    state: AnalysisState
    review: Review | None


class ResultFacts(NamedTuple):
    """What the result of an analysis says about its video.

    Args:
        classes: class names of the detector, the normal class first.
        num_frames: frames of the video.
        fps: frames per second.
    """

    classes: tuple[str, ...]
    num_frames: int
    fps: float


def store_review(database: Database, analysis_id: str, review: Review | None) -> bool:
    """Store a review of an analysis that is done, and its triage.

    Args:
        database: the queue.
        analysis_id: id of the analysis.
        review: what a person decided; None to take it back.

    Returns:
        False if there is no such analysis, or if it is not done.
    """
    is_open = review is None or not review.is_complete
    has_events = review is not None and not review.is_normal
    text = None if review is None else review.model_dump_json()
    with database.write() as connection:
        stored = connection.execute(
            "update analyses set review = ?, triage = case when ? then 'open' "
            "when ? or events = 0 then 'reviewed' else 'false alarm' end "
            "where id = ? and state = 'done'",
            (text, is_open, has_events, analysis_id),
        )
        return stored.rowcount == 1


def read_reviews(database: Database) -> list[AnalyzedVideo]:
    """Return all submitted videos with their reviews, oldest first."""
    with database.read() as connection:
        rows = connection.execute(
            "select id, path, state, review from analyses order by created, id"
        ).fetchall()
    return [
        AnalyzedVideo(
            row["id"],
            Path(row["path"]),
            row["state"],
            None if row["review"] is None else Review.model_validate_json(row["review"]),
        )
        for row in rows
    ]


def read_facts(database: Database, analysis_id: str) -> ResultFacts | None:
    """Return what the result of an analysis says about its video; None if there is no result."""
    with database.read() as connection:
        row = connection.execute(
            "select json_extract(result, '$.classes') as classes, "
            "json_extract(result, '$.num_frames') as num_frames, "
            "json_extract(result, '$.fps') as fps from analyses "
            "where id = ? and result is not null",
            (analysis_id,),
        ).fetchone()
    if row is None:
        return None
    classes = tuple(json.loads(row["classes"]))
    return ResultFacts(classes, int(row["num_frames"]), float(row["fps"]))


def read_paths(database: Database) -> list[Path]:
    """Return the videos that are no uploads."""
    with database.read() as connection:
        rows = connection.execute("select path from analyses where not uploaded").fetchall()
    return [Path(row["path"]) for row in rows]
