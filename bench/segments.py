"""Long videos with one explanation, and with one per segment: what grounded text gains.

The detector is trained on the videos of a run of the demo preset, which have some thirty snippets.
It is measured on long videos of the same world, which no training and no other benchmark has: with
as many captions as a short video has, with captions in proportion to the length and one
explanation of all, and with one explanation per segment.

    python -m bench.segments RUN [--videos N] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from bench._harness import emit
from exvad.aegm.explanation_format import explanation_schema
from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import Config, load_config
from exvad.data.dataset import read_run_manifest
from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.data.world.activities import CLASSES, NORMAL
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.data.world.seed_ranges import seeds
from exvad.detector.extraction import Extractor
from exvad.encoders.loading import LocalModels
from exvad.evaluation.evaluation import evaluate
from exvad.evaluation.experiment import summary_metrics
from exvad.laam.run_labels import RunLabels
from exvad.store.feature_bank import VideoFeatures
from exvad.store.run_data import RunData
from exvad.store.store import Store
from exvad.training.data import training_data
from exvad.training.fitting import best_network, train_network

SEED = 91  # of the world; no other benchmark and no training has it
SNIPPETS = 240
SHORT_CAPTIONS = 16  # of a video of the demo, and of a segment
CAPTIONS = SNIPPETS // 2  # as dense as in a video of the demo
VARIANTS = {
    "few_captions": (SHORT_CAPTIONS, 0),
    "one_explanation": (CAPTIONS, 0),
    "segments": (CAPTIONS, SHORT_CAPTIONS),
}
MEASURED = {
    "auc": "frame_auc",
    "map_strict": "map_strict_average",
    "right_class": "class_accuracy",
}


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run of the demo preset with its features")
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    options = parser.parse_args()
    overrides = [f"run={options.run}", "model.text=grounded"]
    checkpoints = [
        train(load_config("demo", [*overrides, f"train.seed={seed}"]))
        for seed in range(1 if options.quick else 3)
    ]
    metrics: dict[str, float] = {"videos": options.videos, "snippets": SNIPPETS}
    models = LocalModels(checkpoints[0].config, explanation_schema(CLASSES))
    with tempfile.TemporaryDirectory() as folder:
        manifest = render_long_videos(options.videos, Path(folder))
        for name, (captions, segment_captions) in VARIANTS.items():
            config = load_config(
                "demo",
                [
                    *overrides,
                    f"captioner.per_video={captions}",
                    f"llm.segment_captions={segment_captions}",
                ],
            )
            extractor = Extractor(config, models, manifest.classes)
            features = {
                video.video_id: replace(
                    extractor.extract(video.path).features, video_id=video.video_id
                )
                for video in manifest.videos
            }
            metrics |= measure(name, checkpoints, config, features, manifest)
    emit("segments", metrics, {})


def train(config: Config) -> Checkpoint:
    """Train the detector on the features of a run."""
    manifest = read_run_manifest(config)
    labels = RunLabels.load(config, manifest.classes)
    data = RunData.read(manifest, Store(config.store_path), config)
    label_CD = torch.from_numpy(labels.embeddings(config))
    state = train_network(config, label_CD, training_data(data.bank, manifest, config))
    network = best_network(config, label_CD, state)
    unsaved = {"version": "", "weights": ""}
    return Checkpoint(network, label_CD, labels.phrases, config, state.calibration, {}, unsaved)


def render_long_videos(count: int, folder: Path) -> Manifest:
    """Render long videos; every second one has an event, and their classes alternate."""
    videos = []
    for number, seed in enumerate(seeds("test", count, SEED)):
        label = NORMAL if number % 2 else CLASSES[1 + number // 2 % (len(CLASSES) - 1)]
        scene = Scene(seed, label, SNIPPETS, SNIPPETS)
        path = folder / f"long{number:04d}.mp4"
        render_video(scene, path)
        videos.append(
            Video(
                path.stem,
                str(path),
                "test",
                (label,),
                tuple(Event(*event) for event in scene.events),
                num_frames=scene.num_frames,
                fps=scene.fps,
            )
        )
    return Manifest(CLASSES, tuple(videos))


def measure(
    name: str,
    checkpoints: list[Checkpoint],
    config: Config,
    features: Mapping[str, VideoFeatures],
    manifest: Manifest,
) -> dict[str, float]:
    """Return the mean of each metric over the checkpoints, and its deviation."""
    summaries = [
        summary_metrics(evaluate(replace(checkpoint, config=config), features, manifest).metrics)
        for checkpoint in checkpoints
    ]
    metrics: dict[str, float] = {}
    for short, source in MEASURED.items():
        values = [value for summary in summaries if (value := summary[source]) is not None]
        metrics[f"{short}_{name}"] = statistics.mean(values)
        if len(values) > 1:
            metrics[f"{short}_{name}_sd"] = statistics.stdev(values)
    print(metrics, file=sys.stderr)
    return metrics


if __name__ == "__main__":
    main()
