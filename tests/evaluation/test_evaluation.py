"""Evaluation on planted features with known ground truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import override_config
from exvad.data.manifest import Manifest
from exvad.data.records import Event, TimedEvent, Video
from exvad.evaluation.evaluation import evaluate
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from exvad.training.data import training_data
from exvad.training.fitting import fit
from tests.helpers.planted import CLASSES, WIDTH, config, directions

SNIPPETS = 24
LABELS = LabelPhrases(phrases={label: ["a"] * 4 for label in CLASSES}, origin="test")


def plant_world() -> tuple[Manifest, list[dict[str, object]]]:
    rng = np.random.default_rng(0)
    class_CD = directions()
    videos, rows = [], []
    for index in range(120):
        split = "test" if index % 3 == 0 else "train"
        label = index // 2 % len(CLASSES)
        visual = rng.normal(size=(SNIPPETS, WIDTH)).astype(np.float32) + class_CD[0]
        start = int(rng.integers(0, SNIPPETS - 8))
        events: tuple[Event, ...] = ()
        if label:
            visual[start : start + 8] += 4 * class_CD[label]
            events = (Event(start * 16, (start + 8) * 16, CLASSES[label]),)
        video_id = f"v{index:03d}"
        known_events = events if split == "test" else ()
        frames = SNIPPETS * 16
        videos.append(
            Video(video_id, "x.mp4", split, (CLASSES[label],), known_events, frames, 16.0)  # type: ignore[arg-type]
        )
        rows.append(
            {
                "video_id": video_id, "chunk": 0, "crop": 0, "first_snippet": 0, "num_chunks": 1,
                "visual": visual, "times": np.arange(SNIPPETS, dtype=float),
                "caption_snippets": [0], "captions": ["something"],
                "num_frames": SNIPPETS * 16, "fps": 16.0,
            }
        )  # fmt: skip
    return Manifest(CLASSES, tuple(videos)).with_validation(0.2, 0), rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, FeatureBank, Manifest]:
    manifest, rows = plant_world()
    store = Store(tmp_path_factory.mktemp("store"))
    store.stage("vision", {"encoder": "planted"}).append(rows)
    bank = FeatureBank.build(store, [video.video_id for video in manifest.videos])
    settings = config("train.epochs=15", "train.divisor=4")
    torch.manual_seed(0)
    network = build_network(settings, WIDTH, len(CLASSES))
    label_CD = torch.from_numpy(directions())
    state = fit(network, label_CD, training_data(bank, manifest, settings), settings)
    network.load_state_dict(state.best_weights)
    provenance = {"version": "0", "weights": "0" * 8}
    checkpoint = Checkpoint(network, label_CD, LABELS, settings, state.calibration, {}, provenance)
    return checkpoint, bank, manifest


def test_evaluate_finds_and_names_planted_events(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    evaluation = evaluate(*trained)
    metrics = evaluation.metrics
    assert metrics["frame_auc"] > 0.9
    assert metrics["map"]["strict"]["0.1"] > 50
    assert metrics["class_accuracy"] > 0.8
    assert metrics["videos"] == len(evaluation.analyses) == 40
    assert metrics["explained"] == 0
    assert sum(map(sum, metrics["confusion"])) == 40
    for analysis in evaluation.analyses:
        assert analysis.duration == SNIPPETS
        assert len(analysis.scores) == SNIPPETS


def test_evaluate_gives_intervals_around_the_metrics_and_a_worse_random_baseline(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    metrics = evaluate(*trained, resamples=40).metrics
    for name, (low, high) in metrics["intervals"].items():
        _, protocol, iou = (*name.split("_"), "", "")[:3]
        value = metrics["map"][protocol][iou] if name.startswith("map") else metrics[name]
        assert low <= value <= high, name
        assert high - low < (60 if name.startswith("map") else 0.6)
    assert 0.4 < metrics["random"]["frame_auc"] < 0.6
    assert metrics["random"]["map_strict_0.1"] is not None
    assert metrics["random"]["map_strict_average"] < metrics["map"]["strict"]["average"] / 2
    assert metrics == evaluate(*trained, resamples=40).metrics
    per_class = metrics["map_per_class"]["strict"]
    assert set(per_class) == set(CLASSES[1:])
    mean = np.mean([per_iou["average"] for per_iou in per_class.values()])
    assert mean == pytest.approx(metrics["map"]["strict"]["average"])
    assert metrics["frame_auc_abnormal"] > 0.8


def test_evaluate_without_event_times_measures_whole_videos(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, manifest = trained
    untimed = Manifest(CLASSES, tuple(replace(v, events=()) for v in manifest.videos))
    metrics = evaluate(checkpoint, bank, untimed, resamples=5).metrics
    assert metrics["frame_auc"] is metrics["map"] is metrics["frame_ap_abnormal"] is None
    assert metrics["video_auc"] > 0.9
    assert metrics["class_accuracy"] > 0.8
    assert set(metrics["intervals"]) == {"video_auc", "class_accuracy"}


def test_evaluate_takes_no_abnormal_video_with_impossible_events_as_normal(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, manifest = trained
    first = next(v for v in manifest.of_split("test") if v.abnormal)
    (event, *_) = first.events
    moved = replace(first, events=(replace(event, start=10**6, end=10**6 + 9),))
    without = [v for v in manifest.videos if v.video_id != first.video_id]
    expected = evaluate(checkpoint, bank, Manifest(CLASSES, tuple(without)), resamples=5)
    videos = tuple(moved if v.video_id == first.video_id else v for v in manifest.videos)
    evaluation = evaluate(checkpoint, bank, Manifest(CLASSES, videos), resamples=5)
    for name in ("frame_auc", "frame_ap", "frame_auc_abnormal"):
        assert evaluation.metrics[name] == expected.metrics[name]
    assert evaluation.metrics["map"]["strict"] == expected.metrics["map"]["strict"]
    assert evaluation.metrics["videos"] == expected.metrics["videos"] + 1
    assert list(evaluation.metrics["beyond_the_end"]) == [first.video_id]
    assert evaluation.notes[0].startswith(f"{first.video_id}: {event.label}:1000000-1000009 begins")


def test_evaluate_names_the_classes_that_no_test_video_shows(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, manifest = trained
    rarer = [v for v in manifest.videos if v.split != "test" or "Explosion" not in v.labels]
    evaluation = evaluate(checkpoint, bank, Manifest(CLASSES, tuple(rarer)))
    assert evaluation.metrics["map_per_class"]["strict"]["Explosion"]["average"] == 0
    assert evaluation.notes == [
        "no test video shows Explosion, which counts 0 in mAP: label more videos"
    ]


def test_evaluate_measures_events_in_seconds_like_those_in_frames(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, manifest = trained
    timed = []
    for video in manifest.videos:
        fps = bank[video.video_id].fps
        events = tuple(TimedEvent(e.start / fps, e.end / fps, e.label) for e in video.events)
        timed.append(replace(video, events=(), timed_events=events))
    metrics = evaluate(checkpoint, bank, Manifest(CLASSES, tuple(timed))).metrics
    assert metrics == evaluate(checkpoint, bank, manifest).metrics


def test_evaluate_measures_snippets_that_last_seconds_by_the_same_events(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    """A snippet of a second has 16 frames of the file, whatever number metrics count for it."""
    checkpoint, bank, manifest = trained
    settings = override_config(checkpoint.config, {"data.stride": 4, "data.stride_seconds": 1.0})
    evaluation = evaluate(replace(checkpoint, config=settings), bank, manifest)
    expected = evaluate(checkpoint, bank, manifest)
    for name in ("frame_auc", "frame_ap", "frame_auc_abnormal", "map"):
        assert evaluation.metrics[name] == expected.metrics[name]
    assert evaluation.videos == expected.videos


def test_evaluate_refuses_other_classes_than_the_checkpoints(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, _ = trained
    other = Manifest(("Normal", "Flood"), (Video("v", "x.mp4", "test", ("Flood",)),))
    with pytest.raises(ValueError, match="Flood"):
        evaluate(checkpoint, bank, other)


def test_evaluate_refuses_a_data_set_without_test_features(
    trained: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, _ = trained
    elsewhere = Manifest(CLASSES, (Video("unseen", "x.mp4", "test", ("Normal",)),))
    with pytest.raises(ValueError, match="no test video has features"):
        evaluate(checkpoint, bank, elsewhere)
