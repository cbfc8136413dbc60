"""Grounded text against the paper's, and captions where a first look finds something.

The videos are a draw of the demo world that no setting was chosen on. Detectors with each kind of
text are trained on it with three seeds. A second comparison has four captions per video, as a long
video has few for its length: how many events have a caption, and how many explanations name the
right class, with captions at even distances and with guided ones.

With --run only the first comparison is made, on the features of a run of the demo preset: those of
`exvad demo` are a draw that no setting was chosen on either.

    python -m bench.grounded [--quick] [--work FOLDER] [--run RUN]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from bench._harness import emit, make_features
from exvad.config import load_config
from exvad.data.dataset import read_run_manifest
from exvad.evaluation.experiment import run_experiment
from exvad.laam.run_labels import RunLabels
from exvad.store.run_data import RunData
from exvad.store.store import Store

DRAW = 2  # of the world; the preset and grounded text were chosen on draws 1 and 3
SEEDS = 3
TEXTS = ("grounded", "explanation", "none", "captions")
MEASURED = {
    "auc": "frame_auc",
    "map_strict": "map_strict_average",
    "map_strict_0.5": "map_strict_0.5",
    "right_class": "class_accuracy",
}
FEW_CAPTIONS = 4
GOALS: dict[str, tuple[str, float]] = {
    "right_class_grounded": (">=", 0.95),
    "map_strict_grounded": (">=", 87),
    "auc_grounded": (">=", 0.95),
}


def settings(work: Path, name: str, quick: bool) -> list[str]:
    """Return the overrides of a run on the videos of the draw."""
    overrides = [f"run={work}/{name}", f"data.root={work}/videos", f"data.world.seed={DRAW}"]
    if quick:
        overrides += ["data.world.train_videos=60", "data.world.test_videos=14", "train.epochs=4",
                      "train.milestones=[3]"]  # fmt: skip
    return overrides


def measure_texts(overrides: list[str], seeds: int) -> dict[str, float]:
    """Train with each kind of text; return the mean of each metric, and its deviation.

    Args:
        overrides: of a run that has features and labels.
        seeds: number of trainings with each text.
    """
    config = load_config("demo", overrides)
    manifest = read_run_manifest(config)
    labels = RunLabels.load(config, manifest.classes)
    metrics: dict[str, float] = {}
    for text in TEXTS:
        values: dict[str, list[float]] = {name: [] for name in MEASURED}
        for seed in range(seeds):
            seeded = load_config("demo", [*overrides, f"model.text={text}", f"train.seed={seed}"])
            summary = run_experiment(seeded, manifest, Store(config.store_path), labels)
            for name, source in MEASURED.items():
                value = summary[source]
                assert value is not None, "the world has events of every class"
                values[name].append(value)
            print(
                text, seed, {name: round(v[-1], 3) for name, v in values.items()}, file=sys.stderr
            )
        for name, measured in values.items():
            metrics[f"{name}_{text}"] = statistics.mean(measured)
            if seeds > 1:
                metrics[f"{name}_{text}_sd"] = statistics.stdev(measured)
    return metrics


def measure_captions(overrides: list[str]) -> dict[str, float]:
    """Return the share of events with a caption and of right classes, in the test videos."""
    make_features(overrides)
    config = load_config("demo", [*overrides, "model.text=captions"])
    data = RunData.load(config, ("test",))
    captioned, right = [], []
    for video in data.manifest.of_split("test"):
        if video.video_id not in data.bank:
            continue
        features = data.bank[video.video_id]
        frames = [snippet * config.data.stride for snippet in features.caption_snippets]
        captioned += [
            any(event.start <= frame < event.end for frame in frames) for event in video.events
        ]
        assert features.record is not None, "a video of the bank is explained"
        right.append(features.record["category"] in video.labels)
    return {
        "events_captioned": statistics.mean(captioned),
        "explanation_right_class": statistics.mean(right),
    }


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer videos and epochs")
    parser.add_argument("--work", type=Path, help="keep videos and features in this folder")
    parser.add_argument("--run", help="use the features of this run, and compare the texts only")
    options = parser.parse_args()
    seeds = 1 if options.quick else SEEDS
    if options.run:
        emit("grounded", measure_texts([f"run={options.run}"], seeds), GOALS)
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        many = settings(work, "many", options.quick)
        make_features(many)
        metrics = measure_texts(many, seeds)
        for placement in ("even", "guided"):
            few = [
                *settings(work, placement, options.quick),
                f"captioner.per_video={FEW_CAPTIONS}",
                f"captioner.placement={placement}",
            ]
            for name, value in measure_captions(few).items():
                metrics[f"{name}_{FEW_CAPTIONS}_{placement}"] = value
    emit("grounded", metrics, GOALS)


if __name__ == "__main__":
    main()
