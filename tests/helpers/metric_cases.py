"""Test sets for the metrics: random ones, those of an oracle, and a literal reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from exvad.metrics import FrameEvent, Protocol

Scores = list[NDArray[Any]]
Events = list[list[FrameEvent]]

CLASSES = ["Normal", "Arson", "Fighting"]
PROTOCOLS: tuple[Protocol, ...] = ("vadclip", "strict")

seeds = st.integers(0, 2**32 - 1)
frames_per_snippet_values = st.sampled_from([1, 3, 16])


def random_test_set(
    seed: int, frames_per_snippet: int, number_type: str, videos: int = 6
) -> tuple[Scores, Events]:
    """Return scores and events of random videos.

    Videos have 1 to 30 snippets, some have events, and one label in ten is no class.

    Args:
        seed: seed of the random numbers.
        frames_per_snippet: frames in a snippet.
        number_type: float64, float32, float16, rounded (many ties), binary, signed, or integer.
        videos: number of videos.
    """
    rng = np.random.default_rng(seed)
    scores, events = [], []
    for _ in range(videos):
        length = int(rng.integers(1, 31))
        walk = np.cumsum(rng.normal(size=(length, len(CLASSES))), axis=0)
        shares = np.exp(walk) / np.exp(walk).sum(axis=1, keepdims=True)
        scores.append(
            {
                "float64": shares,
                "float32": shares.astype(np.float32),
                "float16": shares.astype(np.float16),
                "rounded": np.round(shares, 1).astype(np.float32),
                "binary": (shares > 0.4).astype(np.float32),
                "signed": walk,
                "integer": np.round(walk).astype(int),
            }[number_type]
        )
        video_events = []
        for _ in range(rng.integers(0, 4)):
            start = int(rng.integers(0, length * frames_per_snippet))
            end = int(rng.integers(start + 1, length * frames_per_snippet + 2))
            video_events.append((start, end, str(rng.choice([*CLASSES * 3, "unknown"]))))
        events.append(video_events)
    return scores, events


def oracle_scores(events: Events, lengths: Sequence[int], classes: Sequence[str]) -> Scores:
    """Return perfect scores: 1 where an event touches a snippet of 16 frames, else normal.

    Args:
        events: the events of each video.
        lengths: snippets per video.
        classes: class names, the normal one first.
    """
    scores = []
    for video_events, length in zip(events, lengths, strict=True):
        rows = np.zeros((length, len(classes)), np.float32)
        for start, end, label in video_events:
            rows[start // 16 : -(-end // 16), classes.index(label)] = 1
        rows[:, 0] = rows[:, 1:].max(axis=1) == 0
        scores.append(rows)
    return scores


def block_scores(
    length: int, *blocks: tuple[int, int, float], columns: int = 2
) -> NDArray[np.float64]:
    """Return scores whose second class has a given height in blocks of snippets, and 0 elsewhere.

    Args:
        length: snippets.
        blocks: first snippet, last snippet + 1, and height.
        columns: number of classes.
    """
    rows = np.zeros((length, columns))
    for first, end, height in blocks:
        rows[first:end, 1] = height
    return rows


def literal_vadclip(
    scores: Scores,
    events: Events,
    classes: Sequence[str],
    frames_per_snippet: int,
    iou_threshold: float,
) -> float:
    """Compute mAP by the `vadclip` protocol literally as DESIGN describes it, frame by frame."""
    precisions = []
    for column, label in enumerate(classes):
        proposals: list[tuple[int, int, int, float]] = []
        for video, rows in enumerate(scores):
            frames = np.repeat(rows, frames_per_snippet, axis=0)
            top = len(frames) // 16
            mean = np.mean(-np.sort(-frames, axis=0)[:top], axis=0)[column] if top else 0.0
            curve = frames[:, column] if mean > 0 else np.zeros_like(frames[:, column])
            threshold = curve.max() - (curve.max() - curve.min()) * np.float64(0.6)
            video_proposals, start = [], None
            for frame, score in enumerate([*curve, -np.inf]):
                if start is None and score > threshold:
                    start = frame
                elif start is not None and not score > threshold:
                    if frame - start >= 2:
                        value = float(curve[start:frame].max() + 0.7 * mean)
                        video_proposals.append((video, start, frame, value))
                    start = None
            order = np.argsort([-value for *_, value in video_proposals])
            proposals += [video_proposals[k] for k in order]
        if not proposals:
            return 0.0
        truth = [
            (video, set(range(start, end)))
            for video, video_events in enumerate(events)
            for start, end, name in video_events
            if name == label
        ]
        total, hits = len(truth), []
        for k in np.argsort([-value for *_, value in proposals]):
            video, start, end, _ = proposals[k]
            span = set(range(start, end))
            ious = [len(span & g) / len(span | g) if v == video else 0.0 for v, g in truth]
            hits.append(bool(ious) and max(ious) >= iou_threshold)
            if hits[-1]:
                del truth[ious.index(max(ious))]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        precisions.append(np.sum(precision * hits) / total if any(hits) else 0.0)
    return float(100 * np.mean(precisions))


def frame_curves(
    scores: Scores, frames_per_snippet: int, lengths: str, seed: int
) -> tuple[list[int], Scores]:
    """Return the lengths of videos in frames, and the score of each of their frames.

    Args:
        scores: one score per snippet of each video.
        frames_per_snippet: frames in a snippet.
        lengths: "exact", "cut" for videos that end before their last snippet does, or "extended".
        seed: seed of the random lengths.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for rows in scores:
        full = len(rows) * frames_per_snippet
        cut, extended = int(rng.integers(1, full + 1)), full + int(rng.integers(0, 20))
        frames.append({"exact": full, "cut": cut, "extended": extended}[lengths])
    curves = [
        np.array([rows[min(t // frames_per_snippet, len(rows) - 1)] for t in range(count)])
        for rows, count in zip(scores, frames, strict=True)
    ]
    return frames, curves


def spans_of(events: Sequence[FrameEvent], length: int) -> list[tuple[int, int]]:
    """Return the spans of events that overlapping ones make together, cut at a length."""
    spans: list[tuple[int, int]] = []
    for a, b, _ in sorted(events):
        b = min(b, length)
        if a >= b:
            continue
        if spans and spans[-1][1] > a:
            spans[-1] = (spans[-1][0], max(spans[-1][1], b))
        else:
            spans.append((a, b))
    return spans
