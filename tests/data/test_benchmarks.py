"""UCF-Crime and XD-Violence as manifests: the official counts, labels and events."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exvad.data.benchmarks import (
    UCF_CRIME_CLASSES,
    XD_VIOLENCE_CLASSES,
    ucf_crime,
    vadclip_events,
    xd_violence,
)
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.official_files import XD_VIOLENCE_CODES
from exvad.data.records import Event, Video
from tests.helpers.annotations import UCF_FILES, XD_FILES, touch_files, write_annotations


def scored(manifest: Manifest) -> tuple[int, int]:
    """Return how many frames of the test videos are scored, and how many of them are abnormal."""
    frames = abnormal = 0
    for video in manifest.of_split("test"):
        assert video.scored_frames is not None
        truth = np.zeros(video.scored_frames, dtype=bool)
        for start, end, _ in video.frame_events():
            truth[start:end] = True
        frames += len(truth)
        abnormal += int(truth.sum())
    return frames, abnormal


@pytest.mark.shared
def test_ucf_crime_has_the_official_counts(shared_data: Path) -> None:
    manifest = ucf_crime("/videos", shared_data / "annotations" / "ucf_crime")
    assert manifest.classes == UCF_CRIME_CLASSES
    assert len(manifest.of_split("train")) == 1610
    assert len(manifest.of_split("test")) == 290
    assert scored(manifest) == (1_109_888, 84_160)
    abnormal = Counter(video.abnormal for video in manifest.of_split("train"))
    assert abnormal == {True: 810, False: 800}
    assert Counter(video.abnormal for video in manifest.of_split("test")) == {True: 140, False: 150}


@pytest.mark.shared
def test_ucf_crime_lists_test_videos_in_the_order_of_the_literature(shared_data: Path) -> None:
    folder = shared_data / "annotations" / "ucf_crime"
    names = [line.split(",")[0] for line in (folder / "test_lengths.csv").read_text().split("\n")]
    test = ucf_crime("/videos", folder).of_split("test")
    assert [video.video_id for video in test] == [name for name in names[1:] if name]


@pytest.mark.shared
def test_ucf_crime_keeps_snippets_and_frames(shared_data: Path) -> None:
    test = ucf_crime("/videos", shared_data / "annotations" / "ucf_crime").of_split("test")
    missing = [(v.num_frames or 0) - (v.scored_frames or 0) for v in test]
    assert (min(missing), max(missing)) == (-15, 15)
    assert sum(frames < 0 for frames in missing) == 4


@pytest.mark.shared
def test_vadclip_events_of_ucf_crime_have_no_normal_segments(shared_data: Path) -> None:
    manifest = ucf_crime("/videos", shared_data / "annotations" / "ucf_crime")
    truth = vadclip_events(manifest)
    assert [bool(events) for events in truth] == [v.abnormal for v in manifest.of_split("test")]
    assert {label for events in truth for _, _, label in events} == set(UCF_CRIME_CLASSES[1:])


@pytest.mark.shared
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_benchmarks_read_back_the_same(shared_data: Path, tmp_path: Path, suffix: str) -> None:
    for name, importer in (("ucf_crime", ucf_crime), ("xd_violence", xd_violence)):
        manifest = importer("/videos", shared_data / "annotations" / name)
        write_manifest(manifest, tmp_path / f"{name}{suffix}")
        again = read_manifest(tmp_path / f"{name}{suffix}")
        assert again == manifest
        assert scored(again) == scored(manifest)


@pytest.mark.shared
def test_validation_split_of_a_benchmark_has_every_class(shared_data: Path) -> None:
    for name, importer in (("ucf_crime", ucf_crime), ("xd_violence", xd_violence)):
        manifest = importer("/videos", shared_data / "annotations" / name).with_validation(0.1, 0)
        validation = manifest.of_split("val")
        assert {label for v in validation for label in v.labels} == set(manifest.classes)
        assert len(validation) == pytest.approx(
            0.1 * len(manifest.of_split("train")) / 0.9, rel=0.05
        )


def test_ucf_crime_keeps_the_layout_of_the_lists(tmp_path: Path) -> None:
    manifest = ucf_crime("s3://bucket/ucf/", write_annotations(tmp_path / "lists", UCF_FILES))
    assert [video.path for video in manifest.videos] == [
        "s3://bucket/ucf/Abuse/Abuse001_x264.mp4",
        "s3://bucket/ucf/Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
        "s3://bucket/ucf/Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4",
        "s3://bucket/ucf/Arson/Arson009_x264.mp4",
    ]
    assert [video.labels[0] for video in manifest.videos] == ["Abuse", "Normal", "Normal", "Arson"]
    arson = manifest.by_id()["Arson009_x264"]
    assert arson.events == (Event(16, 32, "Arson"), Event(40, 50, "Arson"))
    assert (arson.num_frames, arson.snippets, arson.scored_frames) == (55, 3, 48)


def test_ucf_crime_finds_videos_in_other_folders_by_name(tmp_path: Path) -> None:
    root = touch_files(
        tmp_path / "root", "Part-1/Abuse/Abuse001_x264.mp4", "Arson/Arson009_x264.mp4"
    )
    manifest = ucf_crime(root, write_annotations(tmp_path / "lists", UCF_FILES))
    paths = {video.video_id: Path(video.path) for video in manifest.videos}
    assert paths["Abuse001_x264"] == root / "Part-1" / "Abuse" / "Abuse001_x264.mp4"
    assert paths["Arson009_x264"] == root / "Arson" / "Arson009_x264.mp4"
    missing = paths["Normal_Videos_003_x264"]
    assert missing == root / "Testing_Normal_Videos_Anomaly" / "Normal_Videos_003_x264.mp4"


def test_ucf_crime_without_lengths_follows_the_list(tmp_path: Path) -> None:
    manifest = ucf_crime(
        "/videos", write_annotations(tmp_path / "lists", UCF_FILES, test_lengths=None)
    )
    test = manifest.of_split("test")
    assert [video.video_id for video in test] == ["Arson009_x264", "Normal_Videos_003_x264"]
    assert [video.scored_frames for video in test] == [None, None]


@pytest.mark.shared
def test_xd_violence_has_the_official_counts(shared_data: Path) -> None:
    manifest = xd_violence("/videos", shared_data / "annotations" / "xd_violence")
    assert manifest.classes == XD_VIOLENCE_CLASSES
    assert len(manifest.of_split("train")) == 3954
    assert len(manifest.of_split("test")) == 800
    assert scored(manifest) == (2_331_296, 537_882)
    assert Counter(v.abnormal for v in manifest.of_split("train")) == {False: 2049, True: 1905}
    assert Counter(v.abnormal for v in manifest.of_split("test")) == {True: 500, False: 300}


@pytest.mark.shared
def test_xd_violence_has_spans_in_the_five_videos_whose_annotations_differ(
    shared_data: Path,
) -> None:
    manifest = xd_violence("/videos", shared_data / "annotations" / "xd_violence")
    assert sum(bool(video.spans) for video in manifest.videos) == 5
    by_events = [replace(video, spans=()) for video in manifest.videos]
    assert scored(Manifest(manifest.classes, tuple(by_events))) == (2_331_296, 538_007)


@pytest.mark.shared
def test_vadclip_events_of_xd_violence_have_a_normal_segment_per_normal_video(
    shared_data: Path,
) -> None:
    manifest = xd_violence("/videos", shared_data / "annotations" / "xd_violence")
    test = manifest.of_split("test")
    truth = vadclip_events(manifest)
    for video, events in zip(test, truth, strict=True):
        if not video.abnormal:
            assert events == [(0, 16 * (video.snippets or 0), "Normal")]
    counts = Counter(label for events in truth for _, _, label in events)
    assert counts == {
        "Normal": 300,
        "fighting": 245,
        "shooting": 214,
        "riot": 154,
        "abuse": 15,
        "car accident": 494,
        "explosion": 150,
    }


def test_xd_violence_takes_labels_from_the_codes(tmp_path: Path) -> None:
    manifest = xd_violence("/videos", write_annotations(tmp_path / "lists", XD_FILES))
    assert tuple(XD_VIOLENCE_CODES) == ("A", "B1", "B2", "B4", "B5", "B6", "G")
    by_id = manifest.by_id()
    assert by_id["old_label_B6"].labels == ("car accident",)
    film = by_id["film__#1_label_B1-G-0"]
    assert film.path == "/videos/film__#1_label_B1-G-0.mp4"
    assert film.labels == ("fighting", "explosion")
    assert film.events == (Event(0, 10, "fighting"), Event(9, 20, "explosion"))
    assert film.spans == ()
    assert [v.video_id for v in manifest.of_split("test")] == [
        "film__#1_label_B1-G-0",
        "calm__#1_label_A",
    ]


def test_xd_violence_keeps_spans_that_differ_from_the_events(tmp_path: Path) -> None:
    lists = write_annotations(
        tmp_path / "lists", XD_FILES, annotations="film__#1_label_B1-G-0 0 9 10 20\n"
    )
    film = xd_violence("/videos", lists).of_split("test")[0]
    assert film.frame_events() == [(0, 9, "fighting"), (10, 20, "fighting")]


def test_vadclip_events_need_the_lengths_of_normal_videos(tmp_path: Path) -> None:
    manifest = xd_violence("/videos", write_annotations(tmp_path / "lists", XD_FILES))
    film = [(0, 10, "fighting"), (9, 20, "explosion")]
    assert vadclip_events(manifest) == [film, [(0, 16, "Normal")]]
    assert vadclip_events(manifest, {"calm__#1_label_A": 32})[1] == [(0, 32, "Normal")]
    with pytest.raises(ValueError, match="scored frames of calm__#1_label_A is not known"):
        vadclip_events(manifest, {})


def test_vadclip_events_of_other_datasets_have_no_normal_segments() -> None:
    quiet = Video("quiet", "quiet.mp4", "test", ("Normal",), num_frames=32)
    assert vadclip_events(Manifest(("Normal", "Fighting"), (quiet,))) == [[]]
