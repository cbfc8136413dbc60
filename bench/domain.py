"""How often the notice about the domain comes: for footage of another kind, and for unseen videos.

The checkpoint of a run analyzes the run's own test videos, which training has not seen and which
no statistic was fitted to, and a folder of videos of another kind. A piece of a video varies more
than a whole one: pieces of the test videos, from their stored features, show how often the notice
comes for those, as files and as stretches of a stream.

    python -m bench.domain RUN FOLDER
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench._harness import emit
from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import load_config
from exvad.data.dataset import read_run_manifest
from exvad.detector.detector import Detector
from exvad.results import Analysis
from exvad.store.feature_bank import load_features
from exvad.store.store import Store

SUFFIXES = (".mp4", ".avi", ".mkv")
PIECE = 4  # snippets, as many as two seconds of 30 frames per second have


def main() -> None:
    """Analyze both kinds of videos and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run of the demo")
    parser.add_argument("folder", type=Path, help="videos of another kind, such as real footage")
    options = parser.parse_args()
    detector = Detector(options.run / "checkpoint")
    manifest = read_run_manifest(load_config("demo", [f"run={options.run}"]))
    unseen = [video.path for video in manifest.videos if video.split == "test"]
    others = sorted(path for path in options.folder.rglob("*") if path.suffix in SUFFIXES)
    same, other = analyze(detector, unseen), analyze(detector, others)
    largest = max(distances(same))
    pieces = unseen_pieces(detector, options.run)
    emit(
        "domain",
        {
            "unseen_videos": len(same),
            "notices_unseen": outside(same),
            "largest_distance_unseen": largest,
            "piece_snippets": PIECE,
            "pieces_unseen": len(pieces),
            "notices_pieces_as_files": sum(as_file for as_file, _ in pieces) / len(pieces),
            "notices_pieces_of_streams": sum(in_stream for _, in_stream in pieces) / len(pieces),
            "other_videos": len(other),
            "notices_other": outside(other),
            "least_distance_other": min(distances(other)),
            "median_distance_other": statistics.median(distances(other)),
            "events_other": sum(len(analysis.events) for analysis in other),
            "highest_confidence_other": max(confidences(other), default=0.0),
            "highest_confidence_other_unweighted": max(
                (
                    event.confidence / analysis.domain.confidence_weight
                    for analysis in other
                    for event in analysis.events
                    if analysis.domain is not None
                ),
                default=0.0,
            ),
        },
        {"notices_unseen": ("<=", 0.05), "notices_other": (">=", 0.95)},
    )


def analyze(detector: Detector, videos: Iterable[str | Path]) -> list[Analysis]:
    """Analyze videos without text, on which the domain does not depend."""
    return [detector.analyze(video, explain=False) for video in videos]


def unseen_pieces(detector: Detector, run: Path) -> list[tuple[bool, bool]]:
    """Return which pieces of the unseen videos have the notice: as files, and in streams."""
    assert isinstance(detector.checkpoint, Checkpoint)
    domain = detector.checkpoint.domain
    assert domain is not None, "`distances` has refused such a checkpoint"
    config = load_config("demo", [f"run={run}"])
    manifest = read_run_manifest(config)
    ids = [video.video_id for video in manifest.videos if video.split == "test"]
    pieces = []
    for features in load_features(Store(config.store_path), ids).values():
        profiles_TP = domain.profiles(features.visual)
        for start in range(0, len(profiles_TP) - PIECE + 1, PIECE):
            piece_TP = profiles_TP[start : start + PIECE]
            checks = (domain.check(piece_TP), domain.check(piece_TP, stretch=True))
            pieces.append((checks[0].state == "outside", checks[1].state == "outside"))
    return pieces


def outside(analyses: Sequence[Analysis]) -> float:
    """Return the share of the analyses that have the notice, 0 to 1."""
    states = [analysis.domain.state for analysis in analyses if analysis.domain is not None]
    return states.count("outside") / len(analyses)


def distances(analyses: Sequence[Analysis]) -> list[float]:
    """Return the distances, in multiples of the limit.

    Raises:
        ValueError: the checkpoint keeps no statistics.
    """
    checks = [analysis.domain for analysis in analyses]
    known = [check.distance for check in checks if check is not None and check.distance is not None]
    if len(known) < len(analyses):
        raise ValueError("the checkpoint keeps no statistics of its training features: train again")
    return known


def confidences(analyses: Sequence[Analysis]) -> list[float]:
    """Return the confidences of all events."""
    return [event.confidence for analysis in analyses for event in analysis.events]


if __name__ == "__main__":
    main()
