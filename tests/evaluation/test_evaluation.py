"""Evaluation on features whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.evaluation.evaluation import evaluate
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from exvad.training.fitting import fit, training_data
from tests.helpers.planted import CLASSES, WIDTH, config, directions

SNIPPETS = 24
LABELS = LabelPhrases(phrases={label: ["a"] * 4 for label in CLASSES}, origin="test")


def world() -> tuple[Manifest, list[dict[str, object]]]:
    rng = np.random.default_rng(0)
    class_CD = directions()
    videos, rows = [], []
    for number in range(120):
        split = "test" if number % 3 == 0 else "train"
        label = number // 2 % len(CLASSES)
        visual = rng.normal(size=(SNIPPETS, WIDTH)).astype(np.float32) + class_CD[0]
        start = int(rng.integers(0, SNIPPETS - 8))
        events: tuple[Event, ...] = ()
        if label:
            visual[start : start + 8] += 4 * class_CD[label]
            events = (Event(start * 16, (start + 8) * 16, CLASSES[label]),)
        video_id = f"v{number:03d}"
        truth = events if split == "test" else ()
        frames = SNIPPETS * 16
        videos.append(
            Video(video_id, "x.mp4", split, (CLASSES[label],), truth, frames, 16.0)  # type: ignore[arg-type]
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
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, FeatureBank, Manifest]:
    manifest, rows = world()
    store = Store(tmp_path_factory.mktemp("store"))
    store.stage("vision", {"encoder": "planted"}).append(rows)
    bank = FeatureBank.build(store, [video.video_id for video in manifest.videos])
    settings = config("train.epochs=15", "train.divisor=4")
    torch.manual_seed(0)
    network = build_network(settings, WIDTH, len(CLASSES))
    label_CD = torch.from_numpy(directions())
    state = fit(network, label_CD, training_data(bank, manifest, settings), settings)
    network.load_state_dict(state.best_weights)
    made = {"version": "0", "weights": "0" * 8}
    checkpoint = Checkpoint(network, label_CD, LABELS, settings, state.calibration, {}, made)
    return checkpoint, bank, manifest


def test_planted_events_are_found_and_named(
    parts: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    evaluation = evaluate(*parts)
    figures = evaluation.figures
    assert figures["frame_auc"] > 0.9
    assert figures["map"]["strict"]["0.1"] > 50
    assert figures["class_accuracy"] > 0.8
    assert figures["videos"] == len(evaluation.analyses) == 40
    assert figures["explained"] == 0
    assert sum(map(sum, figures["confusion"])) == 40
    for analysis in evaluation.analyses:
        assert analysis.duration == SNIPPETS
        assert len(analysis.scores) == SNIPPETS


def test_intervals_hold_the_figure_and_guessing_is_worse(
    parts: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    figures = evaluate(*parts, resamples=40).figures
    for name, (low, high) in figures["intervals"].items():
        _, protocol, iou = (*name.split("_"), "", "")[:3]
        value = figures["map"][protocol][iou] if name.startswith("map") else figures[name]
        assert low <= value <= high, name
        assert high - low < (60 if name.startswith("map") else 0.6)
    assert 0.4 < figures["random"]["frame_auc"] < 0.6
    assert figures["random"]["map_strict_0.1"] is not None
    assert figures["random"]["map_strict_average"] < figures["map"]["strict"]["average"] / 2
    assert figures == evaluate(*parts, resamples=40).figures
    per_class = figures["map_per_class"]["strict"]
    assert set(per_class) == set(CLASSES[1:])
    mean = np.mean([own["average"] for own in per_class.values()])
    assert mean == pytest.approx(figures["map"]["strict"]["average"])
    assert figures["frame_auc_abnormal"] > 0.8


def test_without_events_only_whole_videos_are_judged(
    parts: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, manifest = parts
    untimed = Manifest(CLASSES, tuple(replace(v, events=()) for v in manifest.videos))
    figures = evaluate(checkpoint, bank, untimed, resamples=5).figures
    assert figures["frame_auc"] is figures["map"] is figures["frame_ap_abnormal"] is None
    assert figures["video_auc"] > 0.9
    assert figures["class_accuracy"] > 0.8
    assert set(figures["intervals"]) == {"video_auc", "class_accuracy"}


def test_other_classes_than_the_checkpoints_are_refused(
    parts: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, _ = parts
    other = Manifest(("Normal", "Flood"), (Video("v", "x.mp4", "test", ("Flood",)),))
    with pytest.raises(ValueError, match="Flood"):
        evaluate(checkpoint, bank, other)


def test_a_data_set_without_test_features_is_refused(
    parts: tuple[Checkpoint, FeatureBank, Manifest],
) -> None:
    checkpoint, bank, _ = parts
    elsewhere = Manifest(CLASSES, (Video("unseen", "x.mp4", "test", ("Normal",)),))
    with pytest.raises(ValueError, match="no test video has features"):
        evaluate(checkpoint, bank, elsewhere)
