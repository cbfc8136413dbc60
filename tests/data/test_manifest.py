"""Manifests: validation, splits, targets and fingerprints."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.manifest import Manifest, hold_out
from exvad.data.records import Event, ManifestError, Video
from tests.helpers.manifests import CLASSES, make_manifest, make_video


def test_manifest_refuses_invalid_videos() -> None:
    with pytest.raises(ManifestError, match=r"video 2 \('a'\): the id 'a' is already used"):
        Manifest(CLASSES, (make_video("a"), make_video("a")))
    with pytest.raises(ManifestError, match="is not valid Unicode"):
        Manifest(CLASSES, (make_video("a", path="\udcff.mp4"),))


def test_with_validation_does_not_depend_on_the_order_of_the_rows() -> None:
    manifest = make_manifest()
    shuffled = list(manifest.videos)
    random.Random(1).shuffle(shuffled)
    chosen = {v.video_id for v in manifest.with_validation(0.3, 7).of_split("val")}
    again = Manifest(CLASSES, tuple(shuffled)).with_validation(0.3, 7)
    assert {v.video_id for v in again.of_split("val")} == chosen
    assert [v.video_id for v in again.videos] == [v.video_id for v in shuffled]
    other = {v.video_id for v in manifest.with_validation(0.3, 8).of_split("val")}
    assert other != chosen


def test_with_validation_is_stratified_and_takes_training_videos_only() -> None:
    split = make_manifest().with_validation(0.3, 0)
    assert [v.labels[0] for v in split.of_split("val")] == [c for c in CLASSES for _ in range(3)]
    assert [v.video_id for v in split.of_split("test")] == ["unseen"]


def test_hold_out_is_the_same_in_another_process() -> None:
    code = (
        "from exvad.data.manifest import hold_out;"
        "from exvad.data.records import Video;"
        "videos = [Video(str(i), 'p', 'train', ('a', 'b')) for i in range(40)];"
        "print(sorted(hold_out(videos, 0.25, 3)))"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    videos = [Video(str(i), "p", "train", ("b", "a")) for i in range(40)]
    assert done.stdout.strip() == str(sorted(hold_out(videos, 0.25, 3)))


@settings(max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any),
    both=st.integers(0, 5),
    fraction=st.floats(0, 0.99),
    seed=st.integers(0, 99),
)
def test_with_validation_keeps_every_class_in_training(
    counts: list[int], both: int, fraction: float, seed: int
) -> None:
    videos = [
        make_video(f"{label}{i}", label)
        for label, n in zip(CLASSES, counts, strict=True)
        for i in range(n)
    ]
    videos += [make_video(f"both{i}", labels=CLASSES[1:]) for i in range(both)]
    split = Manifest(CLASSES, tuple(videos)).with_validation(fraction, seed)
    left = split.of_split("train")
    assert {label for v in videos for label in v.labels} == {x for v in left for x in v.labels}
    if fraction > 0:
        validated = {v.labels[0] for v in split.of_split("val") if len(v.labels) == 1}
        assert validated == {c for c, n in zip(CLASSES, counts, strict=True) if n > 1}
    else:
        assert not split.of_split("val")


def test_with_validation_changes_little_when_videos_are_added() -> None:
    few, more = make_manifest(20), make_manifest(22)
    before = {v.video_id for v in few.with_validation(0.2, 0).of_split("val")}
    after = {v.video_id for v in more.with_validation(0.2, 0).of_split("val")}
    assert len(before & after) >= len(before) - 4


def test_with_validation_keeps_an_existing_validation_split() -> None:
    manifest = Manifest(CLASSES, (*make_manifest().videos, make_video("mine", split="val")))
    assert manifest.with_validation(0.5, 0) is manifest


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_with_validation_refuses_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to below 1"):
        make_manifest().with_validation(fraction, 0)


def test_target_is_multi_hot_in_the_order_of_the_classes() -> None:
    both = make_video("both", labels=("Road accident", "Fighting"))
    manifest = Manifest(CLASSES, (make_video("quiet"), both))
    target_C = manifest.target(both)
    assert target_C.dtype == np.float32
    assert target_C.tolist() == [0, 1, 1]
    assert manifest.target(manifest.videos[0]).tolist() == [1, 0, 0]


def test_normal_class_may_have_any_name() -> None:
    manifest = Manifest(("calm", "riot"), (make_video("a", "calm"), make_video("b", "riot")))
    assert [v.abnormal for v in manifest.videos] == [False, True]
    assert manifest.normal == "calm"


def test_fingerprint_ignores_the_order_of_rows_and_the_folders_of_videos() -> None:
    manifest = make_manifest()
    moved = [replace(v, path=v.path.replace("/videos", "/mnt/x")) for v in manifest.videos[::-1]]
    assert Manifest(CLASSES, tuple(moved)).fingerprint() == manifest.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"split": "test"},
        {"labels": ("Road accident",)},
        {"events": (Event(0, 1, "Fighting"),)},
        {"spans": ((0, 1),)},
        {"num_frames": 7},
        {"fps": 24.0},
        {"snippets": 3},
        {"path": "/videos/other.mp4"},
        {"video_id": "b"},
    ],
)
def test_fingerprint_changes_with_the_content(change: dict[str, object]) -> None:
    one = make_video("a", "Fighting")
    before = Manifest(CLASSES, (one,)).fingerprint()
    assert Manifest(CLASSES, (make_video("a", "Fighting"),)).fingerprint() == before
    assert Manifest(CLASSES, (replace(one, **change),)).fingerprint() != before  # type: ignore[arg-type]
    assert Manifest(("Normal", "Road accident", "Fighting"), (one,)).fingerprint() != before
