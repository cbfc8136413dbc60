"""Detection without training on the demo world and on real clips, with the tiny CLIP.

RUN is the folder of a finished `exvad demo`. The memory for the demo world's classes is made of the
run's label phrases, which a language model wrote for class names; no video of any split is used.
The clips are analyzed with the memory that ships with exvad; their folder has one folder per class.

    python -m bench.zero_shot RUN [--clips FOLDER]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from bench._harness import emit
from exvad.checkpoints.zero_shot import ZeroShotModel, zero_shot_config
from exvad.config import load_config
from exvad.detector.detector import Detector
from exvad.encoders.loading import load_clip
from exvad.evaluation.evaluation import Evaluation, evaluate
from exvad.laam.phrases import LabelPhrases
from exvad.store.run_data import RunData
from exvad.video.container import VideoError
from exvad.zero_shot.scene_memory import NORMAL, SceneMemory

VIDEOS = (".mp4", ".avi")
INTERVAL = 0.95


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--clips", type=Path)
    options = parser.parse_args()
    metrics = demo_world(options.run)
    goals = {"frame_auc": (">=", 0.85), "right_class_abnormal": (">=", 0.6)}
    if options.clips is not None:
        metrics |= real_clips(options.clips)
        goals["clips_failed"] = ("<=", 0)
    emit("zero_shot", metrics, goals)


def demo_world(run: Path) -> dict[str, float]:
    """Return the metrics of the test videos of a demo run.

    Args:
        run: the folder of the run.
    """
    config = load_config("demo", [f"run={run}", "model.text=none"])
    phrases = LabelPhrases.read(run / "labels.json").phrases
    memory = SceneMemory(
        normal={"demo world": phrases[NORMAL]},
        incidents={label: texts for label, texts in phrases.items() if label != NORMAL},
        origin="label phrases of the demo",
    )
    model = ZeroShotModel.build(config, load_clip(config), memory)
    data = RunData.load(config, ("test",))
    evaluation = evaluate(model, data.bank, data.manifest)
    abnormal = np.array([video.abnormal for video in evaluation.videos])
    right = np.array(
        [
            (analysis.label if analysis.events else NORMAL) in video.labels
            for analysis, video in zip(evaluation.analyses, evaluation.videos, strict=True)
        ]
    )
    return {
        "videos": len(evaluation.videos),
        "frame_auc": evaluation.metrics["frame_auc"],
        "video_auc": evaluation.metrics["video_auc"],
        "map_strict_average": evaluation.metrics["map"]["strict"]["average"],
        "right_class": float(right.mean()),
        "right_class_abnormal": float(right[abnormal].mean()),
        **false_alarms(evaluation),
    }


def false_alarms(evaluation: Evaluation) -> dict[str, float]:
    """Return the false alarms per hour of the normal videos, with the exact Poisson interval."""
    normal = [
        analysis
        for analysis, video in zip(evaluation.analyses, evaluation.videos, strict=True)
        if not video.abnormal
    ]
    return alarm_rate([len(analysis.events) for analysis in normal],
                      [analysis.duration for analysis in normal])  # fmt: skip


def alarm_rate(alarms: Sequence[int], seconds: Sequence[float]) -> dict[str, float]:
    """Return events per hour of videos without any incident, with the exact Poisson interval."""
    count, hours = sum(alarms), sum(seconds) / 3600
    rest = (1 - INTERVAL) / 2
    low = chi2.ppf(rest, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(1 - rest, 2 * count + 2) / 2
    return {
        "normal_hours": hours,
        "false_alarms_per_hour": count / hours,
        "false_alarms_per_hour_low": float(low) / hours,
        "false_alarms_per_hour_high": float(high) / hours,
    }


def real_clips(folder: Path) -> dict[str, float]:
    """Return how many clips fail, how fast they are, how many have events, and false alarms.

    The false alarms are those of the clips in the folder `normal`, if there is one.

    Args:
        folder: a folder with one folder of clips per class, or with clips.
    """
    config = zero_shot_config({"clip.model": "package:clip"})
    detector = Detector(config)
    clips = sorted(path for path in folder.rglob("*") if path.suffix in VIDEOS)
    failed = with_events = 0
    seconds = 0.0
    alarms, normal_seconds = list[int](), list[float]()
    begin = time.perf_counter()
    for clip in clips:
        try:
            analysis = detector.analyze(clip)
        except VideoError:
            failed += 1
            continue
        seconds += analysis.duration
        with_events += bool(analysis.events)
        if clip.parent.name == NORMAL.lower():
            alarms.append(len(analysis.events))
            normal_seconds.append(analysis.duration)
    rate = alarm_rate(alarms, normal_seconds) if alarms else {}
    return {
        "clips": len(clips),
        "clips_failed": failed,
        "clips_with_events": with_events,
        "clips_real_time_factor": seconds / (time.perf_counter() - begin),
        **{f"clips_{name}": value for name, value in rate.items()},
    }


if __name__ == "__main__":
    main()
