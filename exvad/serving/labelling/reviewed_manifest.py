"""The manifest of the videos that persons have reviewed.

It is derived from the database as a whole and written anew after each review, so it never differs
from what is stored.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Lock

from exvad.data.annotations.class_names import folded_name
from exvad.data.atomic import write_text_atomic
from exvad.data.manifest import Manifest, hold_out
from exvad.data.manifest_files import PARQUET_SUFFIXES, write_manifest
from exvad.data.manifest_table import portable_path
from exvad.data.records import TimedEvent, Video
from exvad.data.storage.places import Place, resolve_place
from exvad.serving.queue.database import Database
from exvad.serving.queue.reviews import AnalyzedVideo, ResultFacts, read_facts, read_reviews
from exvad.serving.schemas.reviews import Review, ReviewSummary

TEST_FRACTION = 0.25  # as of a folder per class
MIN_VIDEOS = 3  # of a class: one each to train, to validate and to test
SPLIT_SEED = 0
RECORD = "manifest.sha256"  # in the spool: what was written last, and what before it
DRAFT = ".draft"


class ReviewedManifest:
    """Writes the reviews of a database to a manifest.

    Args:
        path: the manifest; None to write none.
        database: the queue with the reviews.
        spool: folder of the record of what was written.
    """

    def __init__(self, path: Path | None, database: Database, spool: Path) -> None:
        self.path = path
        self._database = database
        self._record = spool / RECORD
        self._lock = Lock()
        self._facts: dict[str, ResultFacts] = {}  # results never change, and are slow to parse

    def write(self) -> ReviewSummary:
        """Write the manifest, and return how many videos are in it.

        No manifest is written while no video is reviewed, because a manifest has videos; one that
        was written is deleted when the last review is taken back.

        Raises:
            OSError: the file can't be written.
        """
        # The lock keeps an older state from being written after a newer one.
        with self._lock:
            videos = read_reviews(self._database)
            if self.path is not None:
                manifest = make_manifest(videos, self._read_facts(videos), self.path)
                if manifest is not None:
                    self._replace(manifest, self.path)
                elif self._record.exists():
                    self.path.unlink(missing_ok=True)
                    self._record.unlink()
        return summarize(videos, self.path)

    def _replace(self, manifest: Manifest, path: Path) -> None:
        """Write the manifest, and the record before it takes its name.

        The record names what is there and what follows, so that `check_manifest` takes either for
        the work of this session, wherever a full disk or a crash interrupts it.
        """
        draft = path.with_name(f".{path.name}{DRAFT}{path.suffix}")
        try:
            write_manifest(manifest, draft)
            hashes = [_hash(file) for file in (path, draft) if file.exists()]
            write_text_atomic(self._record, "\n".join(hashes))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def summary(self) -> ReviewSummary:
        """Return how many videos are reviewed."""
        return summarize(read_reviews(self._database), self.path)

    def _read_facts(self, videos: Sequence[AnalyzedVideo]) -> dict[str, ResultFacts]:
        for video in videos:
            if video.review is not None and video.analysis_id not in self._facts:
                facts = read_facts(self._database, video.analysis_id)
                if facts is not None:  # the analysis may have been deleted meanwhile
                    self._facts[video.analysis_id] = facts
        return self._facts


def check_manifest(path: Path, spool: Path) -> None:
    """Refuse a manifest that can't be written, or that something else has written.

    Args:
        path: the manifest; it may be missing.
        spool: folder of the record of what was written; it may be missing.

    Raises:
        ValueError: the suffix is not that of a manifest, the folder can't be written to, or the
            file has another content than what was written last.
    """
    if path.suffix.lower() not in (".csv", *PARQUET_SUFFIXES):
        raise ValueError(f"{path}: a manifest's name must end in .csv or .parquet")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: its folder does not exist or can't be written to")
    if not path.exists():
        return
    record = spool / RECORD
    if not record.exists():
        raise ValueError(f"{path} exists, and was not written from reviews: name another manifest")
    if _hash(path) not in record.read_text("utf-8").split():
        raise ValueError(
            f"{path} was changed after it was written from reviews, and would be written anew: "
            "move it away first"
        )


def make_manifest(
    videos: Sequence[AnalyzedVideo], facts: dict[str, ResultFacts], path: Path
) -> Manifest | None:
    """Return the manifest of the videos whose reviews are complete; None if there are none.

    A video without events is normal. A quarter of the videos of every class is held out for
    testing. The classes are those of the events; as long as there are none, those of the detector.

    Args:
        videos: all videos.
        facts: what the results of the reviewed ones say, by the id of the analysis.
        path: the manifest, from whose folder the ids of its videos are counted.
    """
    reviewed = [
        video
        for video in videos
        if video.review is not None and video.review.is_complete and video.analysis_id in facts
    ]
    if not reviewed:
        return None
    classes = facts[reviewed[-1].analysis_id].classes
    spelling: dict[str, str] = {}  # a class may be written in upper or lower case; the first counts
    ids = _video_ids([video.path for video in reviewed], resolve_place(path).parent)
    records = []
    for video, video_id in zip(reviewed, ids, strict=True):
        assert video.review is not None
        events = tuple(
            TimedEvent(
                event.start, event.end, spelling.setdefault(folded_name(event.label), event.label)
            )
            for event in sorted(video.review.events, key=lambda event: (event.start, event.end))
            if event.counts
        )
        fact = facts[video.analysis_id]
        records.append(
            Video(
                video_id=video_id,
                path=str(video.path),
                split="train",
                labels=tuple(dict.fromkeys(event.label for event in events)) or classes[:1],
                num_frames=fact.num_frames,
                fps=fact.fps,
                timed_events=events,
            )
        )
    held_out = hold_out(records, TEST_FRACTION, SPLIT_SEED)
    records = [replace(v, split="test") if v.video_id in held_out else v for v in records]
    names = sorted(spelling.values()) or classes[1:]
    return Manifest((classes[0], *names), tuple(records))


def summarize(videos: Sequence[AnalyzedVideo], path: Path | None) -> ReviewSummary:
    """Count reviewed and other videos.

    Args:
        videos: all videos, oldest first.
        path: the manifest; None if none is written.
    """
    reviews = [video.review for video in videos if video.review is not None]
    complete = [review for review in reviews if review.is_complete]
    events = [event for review in complete for event in review.events if event.counts]
    labels = {event.label for review in reviews for event in review.events}
    normal = sum(review.is_normal for review in complete)
    failed = sum(video.state == "failed" for video in videos)
    to_review = (
        video.analysis_id
        for video in videos
        if video.state == "done" and (video.review is None or not video.review.is_complete)
    )
    abnormal, begun = len(complete) - normal, len(reviews) - len(complete)
    waiting = len(videos) - len(reviews) - failed
    left_out = [
        f"{count} {text}"
        for count, text in (
            (waiting, "that nobody has looked at"),
            (begun, "with open events"),
            (failed, "that could not be analyzed"),
        )
        if count
    ]
    return ReviewSummary(
        manifest=None if path is None else path.name,
        abnormal=abnormal,
        normal=normal,
        events=len(events),
        begun=begun,
        waiting=waiting,
        failed=failed,
        next=next(to_review, None),
        labels=sorted(labels),
        text=f"{'Reviewed' if path is None else path.name}: {_count(len(complete), 'video')} "
        f"({abnormal} abnormal, {normal} normal), {_count(len(events), 'event')}"
        + (f"; left out: {', '.join(left_out)}" if left_out else ""),
        advice=_advise(complete),
    )


def _advise(reviews: Sequence[Review]) -> str:
    """Name the classes of which there are too few videos; empty if there are none.

    Args:
        reviews: the complete ones.
    """
    names: dict[str, str] = {}
    counts = Counter({"normal": sum(review.is_normal for review in reviews)})
    for review in reviews:
        labels = [event.label for event in review.events if event.counts]
        counts.update({names.setdefault(folded_name(label), label) for label in labels})
    few = [f"{label} has {count}" for label, count in sorted(counts.items()) if count < MIN_VIDEOS]
    if not reviews or not few:
        return ""
    return (
        f"Training needs at least {MIN_VIDEOS} videos of every class, one of them to validate and "
        f"one to test: {', '.join(few)}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _video_ids(paths: Sequence[Path], folder: Place) -> list[str]:
    """Return a unique id of each video: its path from the manifest's folder, without its suffix.

    It depends on no other video, so that features of earlier runs stay valid when labels are added,
    unless two videos differ in their suffix only.
    """
    places = [PurePosixPath(portable_path(str(path), folder).lstrip("/")) for path in paths]
    stems = Counter(place.with_suffix("") for place in places)
    return [
        str(place if stems[place.with_suffix("")] > 1 else place.with_suffix(""))
        for place in places
    ]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
