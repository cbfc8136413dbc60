"""Events of a manifest that lie beyond the end of their video, whose length the store has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from exvad.data.annotations.clock import FrameClock, events_in_frames, fit_to_length
from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.data.records import Video


def events_beyond_the_end(videos: Iterable[Video], store: Store) -> list[str]:
    """Return a sentence per video with events beyond its end.

    Args:
        videos: the videos; those that are not in the store are skipped.
        store: the feature store, with its vision stage.
    """
    with_events = {v.video_id: v for v in videos if v.events or v.timed_events or v.spans}
    clocks: dict[str, FrameClock] = {}
    columns = ("video_id", "crop", "first_snippet", "num_frames", "fps", "clock")
    points: dict[str, list[tuple[int, list[float]]]] = defaultdict(list)
    if with_events:
        for table in store.read_stage("vision").iter_tables(columns, list(with_events)):
            for row in table.to_pylist():
                clocks[row["video_id"]] = FrameClock(row["num_frames"], row["fps"])
                if row["crop"] == 0:
                    points[row["video_id"]].append((row["first_snippet"], row["clock"]))
    for video_id, parts in points.items():
        known = [value for _, part in sorted(parts) for value in part]
        clocks[video_id] = replace(clocks[video_id], frames=known[::2], seconds=known[1::2])
    sentences = []
    for video_id, clock in clocks.items():
        video = events_in_frames(with_events[video_id], clock)
        _, phrases = fit_to_length(video, clock.num_frames)
        if phrases:
            sentences.append(f"{video_id}: {'; '.join(phrases)}")
    return sorted(sentences)
