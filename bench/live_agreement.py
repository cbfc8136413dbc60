"""Whether a stream and the analysis of its file give the same events: class, begin and end.

Videos of the demo world, each with one event, are read as files that grow, and analyzed as files.
An event of the file is compared with the alert that it overlaps most. Explanations of the stream
come at once.

    python -m bench.live_agreement CHECKPOINT --videos 10
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from bench._harness import emit
from exvad.data.world.activities import CLASSES
from exvad.data.world.render import render_video
from exvad.data.world.scene import STRIDE, Scene
from exvad.data.world.seed_ranges import seeds
from exvad.detector.detector import Detector
from exvad.live.alert_states import merge_states
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector
from exvad.results import DetectedEvent, LiveAlert
from exvad.serving.workers.live_stream import HYSTERESIS
from exvad.video.frame_buffer import Notice
from exvad.video.live_source import LiveSource, growing_file

SEED = 90  # of the world; no other benchmark and no training has it
NEAR = 2  # snippets
ROUNDING = 0.01  # snippets: containers round the times of frames


@dataclass(frozen=True)
class Pair:
    """An event of a file, and the alert of its stream.

    Args:
        event: of the file.
        alert: of the stream; None without one.
        snippet: seconds.
    """

    event: DetectedEvent
    alert: LiveAlert | None
    snippet: float

    @property
    def has_class(self) -> bool:
        """Whether both have the same class."""
        return self.alert is not None and self.alert.label == self.event.label

    @property
    def begin(self) -> float:
        """Snippets between both begins."""
        assert self.alert is not None
        return abs(self.alert.start - self.event.start) / self.snippet

    @property
    def end(self) -> float:
        """Snippets between both ends."""
        assert self.alert is not None
        return abs(self.alert.end - self.event.end) / self.snippet


def main() -> None:
    """Watch and analyze the videos, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a run of the demo")
    parser.add_argument("--videos", type=int, default=10)
    options = parser.parse_args()
    detector = Detector(options.checkpoint)
    pairs = list[Pair]()
    num_alerts = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds("test", options.videos, SEED)):
            scene = Scene(seed, CLASSES[1 + number % (len(CLASSES) - 1)])
            path = write_stream(scene, Path(folder))
            events = detector.analyze(path).events
            alerts = watch_file(detector, path)
            num_alerts += len(alerts)
            snippet = STRIDE / scene.fps
            pairs += [Pair(event, find_alert(event, alerts), snippet) for event in events]
    goals = ("share_same_class", "share_within_two_snippets")
    emit(
        "live_agreement",
        {
            "videos": options.videos,
            "events_of_files": len(pairs),
            "alerts_of_streams": num_alerts,
            **summarize(pairs),
        },
        dict.fromkeys(goals, (">=", 1.0)),
    )


def write_stream(scene: Scene, folder: Path) -> Path:
    """Render a scene as MPEG-TS, which can be read while it grows; return its path."""
    whole, path = folder / f"{scene.seed}.mp4", folder / f"{scene.seed}.ts"
    render_video(scene, whole)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        track = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = track
                target.mux_one(packet)
    return path


def watch_file(detector: Detector, path: Path) -> list[LiveAlert]:
    """Return the alerts of a file that is read as a stream, as they were at last."""
    config, on = detector.checkpoint.config, detector.checkpoint.calibration.even_odds_score()
    source = LiveSource(
        growing_file(path, 0.0),
        path.name,
        config.data.stride,
        config.data.short_side,
        buffer_size=10_000,  # nothing is dropped
        ends_with_data=True,
        stride_seconds=config.data.stride_seconds,
    )
    live = LiveDetector(
        detector.checkpoint,
        detector.models,
        AlertRule(on, HYSTERESIS * on),
    )
    records = []
    for item in source.follow(threading.Event()):
        for frame in [] if isinstance(item, Notice) else item:
            records += live.process([frame])
    records += live.finish()
    last = dict[int, LiveAlert]()
    for record in records:
        if isinstance(record, LiveAlert):
            last[record.number] = merge_states(last.get(record.number), record)
    return list(last.values())


def find_alert(event: DetectedEvent, alerts: Sequence[LiveAlert]) -> LiveAlert | None:
    """Return the alert that overlaps an event most; None without one."""

    def overlap(alert: LiveAlert) -> float:
        return min(alert.end, event.end) - max(alert.start, event.start)

    best = max(alerts, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0 else None


def summarize(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return how well events and alerts agree."""
    found = [pair for pair in pairs if pair.alert is not None]
    near = [pair for pair in found if max(pair.begin, pair.end) <= NEAR + ROUNDING]
    agreeing = [pair for pair in near if pair.has_class]
    return {
        "events_without_alert": len(pairs) - len(found),
        "share_of_all_agreeing": len(agreeing) / max(1, len(pairs)),
        "share_same_class": sum(pair.has_class for pair in found) / max(1, len(found)),
        "share_within_two_snippets": len(near) / max(1, len(found)),
        "begin_snippets_mean": statistics.fmean(pair.begin for pair in found) if found else 0.0,
        "begin_snippets_largest": max((pair.begin for pair in found), default=0.0),
        "end_snippets_mean": statistics.fmean(pair.end for pair in found) if found else 0.0,
        "end_snippets_largest": max((pair.end for pair in found), default=0.0),
    }


if __name__ == "__main__":
    main()
