"""A scored test set gives the metrics that are defined for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exvad.data.manifest import Manifest
from exvad.data.records import Event
from exvad.evaluation.scored import Scored
from tests.helpers.scored_sets import CLASSES, NUM_VIDEOS, make_scored


def test_summary_of_normal_videos_has_no_metrics_that_need_events() -> None:
    scored = make_scored(0)
    summary = scored.summary(np.flatnonzero(~scored.abnormal))
    for name in ("frame_auc", "frame_ap", "frame_auc_abnormal", "video_auc"):
        assert summary[name] is None
    assert summary["class_accuracy"] is not None


def test_overlapping_events_of_two_classes_leave_frame_metrics_defined() -> None:
    scored = make_scored(0)
    # Together longer than the video, of which they cover the first half only.
    half = [Event(0, 80, "Fighting"), Event(0, 80, "Arson")]
    video = replace(scored.videos[0], labels=("Fighting", "Arson"), events=tuple(half))
    video = replace(video, num_frames=160)
    scores_T = np.linspace(1, 0, 10, dtype=np.float32)
    alone = Scored(
        Manifest(CLASSES, (video,)), [scores_T], [np.full((10, 4), 0.25, np.float32)],
        np.array([0.9]), ["Arson"], 16, seconds=[6.4],
    )  # fmt: skip
    summary = alone.summary()
    assert summary["frame_auc"] == 1.0
    assert summary["frame_auc_abnormal"] == 1.0
    assert summary["latency_ap"] is not None
    whole = replace(video, events=(Event(0, 100, "Fighting"), Event(50, 200, "Arson")))
    everything = replace(alone, manifest=Manifest(CLASSES, (whole,)))
    assert everything.summary()["frame_auc"] is None


def test_summary_without_event_times_is_that_of_whole_videos() -> None:
    scored = make_scored(0, timed=False)
    defined = {name for name, value in scored.summary().items() if value is not None}
    assert defined == {"video_auc", "class_accuracy"}
    assert scored.detection() is None


def test_confusion_counts_every_video_once() -> None:
    scored = make_scored(0)
    confusion_CC = np.array(scored.confusion())
    assert confusion_CC.shape == (len(CLASSES), len(CLASSES))
    assert confusion_CC.sum() == NUM_VIDEOS
    assert confusion_CC[0].sum() == (~scored.abnormal).sum()


def test_random_baseline_is_worse_than_the_predictions() -> None:
    scored = make_scored(0)
    summary, baseline = scored.summary(), scored.random_baseline().summary()
    for name in ("frame_auc", "map_strict_average", "class_accuracy"):
        value, random_value = summary[name], baseline[name]
        assert value is not None
        assert random_value is not None
        assert random_value < value
