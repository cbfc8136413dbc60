"""Benchmarks as manifests: the official counts, the official files' faults, folders of videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exvad.data.benchmarks import (
    UCF_CRIME_CLASSES,
    XD_VIOLENCE_CLASSES,
    XD_VIOLENCE_CODES,
    folder_per_class,
    ucf_crime,
    vadclip_events,
    xd_violence,
)
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.records import Event, ManifestError, Split, Video

UCF_FILES = {
    "Anomaly_Train.txt": "Abuse/Abuse001_x264.mp4\n"
    "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4\n",
    "Anomaly_Test.txt": "Arson/Arson009_x264.mp4\n"
    "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4\n",
    "Temporal_Anomaly_Annotation.txt": "Arson009_x264.mp4  Arson  16  32  40  50  \n"
    "Normal_Videos_003_x264  Normal  -1  -1  -1  -1  \n",
    "test_lengths.csv": "video,label,snippets,frames\r\nNormal_Videos_003_x264,Normal,2,30\r\n"
    "Arson009_x264,Arson,3,55\r\n",
}
XD_FILES = {
    "annotations.txt": "film__#1_label_B1-G-0.mp4 0 20\n",
    "annotations_multiclasses.txt": "film__#1_label_B1-G-0 B1 0 10 G 9 20\n",
    "test_lengths.csv": "video,label,snippets,frames\nfilm__#1_label_B1-G-0,B1-G-0,2,33\n"
    "calm__#1_label_A,A,1,20\n",
    "train_videos.csv": "video,label\r\nold_label_B6,B6\r\nquiet_label_A,A\r\n",
}


def write(folder: Path, files: dict[str, str], **changes: str | None) -> Path:
    folder.mkdir()
    for name, text in files.items():
        changed = changes.get(name.partition(".")[0], text)
        if changed is not None:
            (folder / name).write_bytes(changed.encode())
    return folder


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def scored(manifest: Manifest) -> tuple[int, int]:
    """All and the abnormal frames that scoring the test videos sees."""
    frames = abnormal = 0
    for video in manifest.of_split("test"):
        assert video.scored_frames is not None
        truth = np.zeros(video.scored_frames, dtype=bool)
        for start, end, _ in video.frame_events():
            truth[start:end] = True
        frames += len(truth)
        abnormal += int(truth.sum())
    return frames, abnormal


def splits(manifest: Manifest) -> dict[str, str]:
    return {video.video_id: video.split for video in manifest.videos}


# UCF-Crime


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
def test_ucf_crime_is_evaluated_in_the_order_of_the_literature(shared_data: Path) -> None:
    folder = shared_data / "annotations" / "ucf_crime"
    names = [line.split(",")[0] for line in (folder / "test_lengths.csv").read_text().split("\n")]
    test = ucf_crime("/videos", folder).of_split("test")
    assert [video.video_id for video in test] == [name for name in names[1:] if name]


@pytest.mark.shared
def test_ucf_crime_snippets_and_frames_are_both_kept(shared_data: Path) -> None:
    test = ucf_crime("/videos", shared_data / "annotations" / "ucf_crime").of_split("test")
    missing = [(v.num_frames or 0) - (v.scored_frames or 0) for v in test]
    assert (min(missing), max(missing)) == (-15, 15)
    assert sum(frames < 0 for frames in missing) == 4


@pytest.mark.shared
def test_ucf_crime_has_no_segments_of_the_normal_class(shared_data: Path) -> None:
    manifest = ucf_crime("/videos", shared_data / "annotations" / "ucf_crime")
    truth = vadclip_events(manifest)
    assert [bool(events) for events in truth] == [v.abnormal for v in manifest.of_split("test")]
    assert {label for events in truth for _, _, label in events} == set(UCF_CRIME_CLASSES[1:])


@pytest.mark.shared
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_benchmarks_survive_being_written_and_read(
    shared_data: Path, tmp_path: Path, suffix: str
) -> None:
    for name, importer in (("ucf_crime", ucf_crime), ("xd_violence", xd_violence)):
        manifest = importer("/videos", shared_data / "annotations" / name)
        write_manifest(manifest, tmp_path / f"{name}{suffix}")
        again = read_manifest(tmp_path / f"{name}{suffix}")
        assert again == manifest
        assert scored(again) == scored(manifest)


@pytest.mark.shared
def test_validation_of_the_benchmarks_holds_every_class(shared_data: Path) -> None:
    for name, importer in (("ucf_crime", ucf_crime), ("xd_violence", xd_violence)):
        manifest = importer("/videos", shared_data / "annotations" / name).with_validation(0.1, 0)
        validation = manifest.of_split("val")
        assert {label for v in validation for label in v.labels} == set(manifest.classes)
        assert len(validation) == pytest.approx(
            0.1 * len(manifest.of_split("train")) / 0.9, rel=0.05
        )


def test_ucf_crime_keeps_the_layout_of_the_lists(tmp_path: Path) -> None:
    manifest = ucf_crime("s3://bucket/ucf/", write(tmp_path / "lists", UCF_FILES))
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


def test_videos_in_another_folder_are_found_by_name(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "Part-1/Abuse/Abuse001_x264.mp4", "Arson/Arson009_x264.mp4")
    manifest = ucf_crime(root, write(tmp_path / "lists", UCF_FILES))
    paths = {video.video_id: Path(video.path) for video in manifest.videos}
    assert paths["Abuse001_x264"] == root / "Part-1" / "Abuse" / "Abuse001_x264.mp4"
    assert paths["Arson009_x264"] == root / "Arson" / "Arson009_x264.mp4"
    missing = paths["Normal_Videos_003_x264"]
    assert missing == root / "Testing_Normal_Videos_Anomaly" / "Normal_Videos_003_x264.mp4"


def test_ucf_crime_without_lengths_follows_the_list(tmp_path: Path) -> None:
    manifest = ucf_crime("/videos", write(tmp_path / "lists", UCF_FILES, test_lengths=None))
    test = manifest.of_split("test")
    assert [video.video_id for video in test] == ["Arson009_x264", "Normal_Videos_003_x264"]
    assert [video.scored_frames for video in test] == [None, None]


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("Anomaly_Train", None, "Anomaly_Train.txt: cannot be read: No such file"),
        ("Anomaly_Train", "Abuse/a.mp4\n\nAbused/b.mp4\n", "Anomaly_Train.txt:3: 'Abused/b.mp4'"),
        ("Anomaly_Test", "Arson/Arson009_x264.mp4\n", "Normal_Videos_003_x264 is annotated but"),
        ("Anomaly_Test", UCF_FILES["Anomaly_Test.txt"] * 2, "Arson009_x264 is listed 2 times"),
        ("Temporal_Anomaly_Annotation", "Arson009_x264  Arson  1\n", "txt:1: 'Arson009_x264"),
        ("Temporal_Anomaly_Annotation", "a\n", "txt:1: 'a' is not 'name class start end"),
        ("Temporal_Anomaly_Annotation", "", "the abnormal test video Arson009_x264 has no event"),
        ("test_lengths", "video,label,snippets,frames\nArson009_x264,Arson,3,x\n", "csv:2: snip"),
        ("test_lengths", "video,label,snippets,frames\nArson009_x264,Arson,3\n", "csv:2: 3 cells"),
        ("test_lengths", "name,snippets\n", "csv:1: the columns must be video, label, snippets"),
        (
            "test_lengths",
            "video,label,snippets,frames\nArson009_x264,Arson,3,55\n",
            "test_lengths.csv: the test video Normal_Videos_003_x264 is missing",
        ),
        (
            "test_lengths",
            UCF_FILES["test_lengths.csv"] + "Arson009_x264,Arson,3,55\n",
            "csv:4: Arson009_x264 was there already",
        ),
    ],
)
def test_faults_in_the_files_of_ucf_crime_are_named(
    tmp_path: Path, file: str, text: str | None, what: str
) -> None:
    lists = write(tmp_path / "lists", UCF_FILES, **{file: text})
    with pytest.raises(ManifestError) as caught:
        ucf_crime("/videos", lists)
    assert any(what in problem for problem in caught.value.problems)


# XD-Violence


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
def test_the_two_annotations_of_xd_violence_differ_in_five_videos(shared_data: Path) -> None:
    manifest = xd_violence("/videos", shared_data / "annotations" / "xd_violence")
    assert sum(bool(video.spans) for video in manifest.videos) == 5
    by_events = [replace(video, spans=()) for video in manifest.videos]
    assert scored(Manifest(manifest.classes, tuple(by_events))) == (2_331_296, 538_007)


@pytest.mark.shared
def test_xd_violence_has_a_segment_of_the_normal_class_per_normal_video(shared_data: Path) -> None:
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


def test_xd_violence_labels_come_from_the_codes(tmp_path: Path) -> None:
    manifest = xd_violence("/videos", write(tmp_path / "lists", XD_FILES))
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


def test_spans_are_kept_where_they_are_other_frames(tmp_path: Path) -> None:
    lists = write(tmp_path / "lists", XD_FILES, annotations="film__#1_label_B1-G-0 0 9 10 20\n")
    film = xd_violence("/videos", lists).of_split("test")[0]
    assert film.frame_events() == [(0, 9, "fighting"), (10, 20, "fighting")]


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("test_lengths", None, "test_lengths.csv: cannot be read: No such file"),
        ("train_videos", "video,label\nold_label_C3,C3\n", "csv:2: old_label_C3: 'C3' is not made"),
        ("train_videos", "video,label\nold,0-0-0\n", "csv:2: old: '0-0-0' is not made of A (Norm"),
        ("train_videos", "video,label\nold,B1-A\n", "'Normal' stands beside abnormal labels"),
        ("train_videos", "video,label\nold,B1\nold,B1\n", "the id 'old' was used already"),
        ("annotations", "film__#1_label_B1-G-0 0\n", "annotations.txt:1: 'film"),
        ("annotations", "other 0 20\n", "annotations.txt: other is no test video"),
        ("annotations_multiclasses", "film__#1_label_B1-G-0 B3 0 9\n", "multiclasses.txt:1: "),
        ("annotations_multiclasses", "film__#1_label_B1-G-0 B1 0\n", "multiclasses.txt:1: "),
    ],
)
def test_faults_in_the_files_of_xd_violence_are_named(
    tmp_path: Path, file: str, text: str | None, what: str
) -> None:
    lists = write(tmp_path / "lists", XD_FILES, **{file: text})
    with pytest.raises(ManifestError) as caught:
        xd_violence("/videos", lists)
    assert any(what in problem for problem in caught.value.problems)


def test_vadclip_events_take_given_lengths_and_ask_for_missing_ones(tmp_path: Path) -> None:
    manifest = xd_violence("/videos", write(tmp_path / "lists", XD_FILES))
    film = [(0, 10, "fighting"), (9, 20, "explosion")]
    assert vadclip_events(manifest) == [film, [(0, 16, "Normal")]]
    assert vadclip_events(manifest, {"calm__#1_label_A": 32})[1] == [(0, 32, "Normal")]
    with pytest.raises(ValueError, match="scored frames of calm__#1_label_A is not known"):
        vadclip_events(manifest, {})


def test_vadclip_events_of_other_datasets_have_no_normal_segments() -> None:
    quiet = Video("quiet", "quiet.mp4", "test", ("Normal",), num_frames=32)
    assert vadclip_events(Manifest(("Normal", "Fighting"), (quiet,))) == [[]]


# One folder per class


def class_folders(root: Path, *folders: str, videos: int = 8) -> Path:
    return touch(root, *(f"{name}/{i}.mp4" for name in folders for i in range(videos)))


def test_folders_are_classes_and_a_quarter_of_each_is_held_out(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "root", "normal", "Fighting", "arson")
    manifest = folder_per_class(root)
    assert manifest.classes == ("Normal", "Fighting", "arson")
    held_out = Counter(video.labels[0] for video in manifest.of_split("test"))
    assert held_out == {"Normal": 2, "Fighting": 2, "arson": 2}
    assert len(manifest.of_split("train")) == 18
    assert manifest.by_id()["normal/0"].path == str(root / "normal" / "0.mp4")


def test_the_held_out_videos_follow_from_the_seed_and_the_names(tmp_path: Path) -> None:
    first = class_folders(tmp_path / "first", "normal", "Fighting")
    second = class_folders(tmp_path / "second", "Fighting", "normal")
    assert splits(folder_per_class(first)) == splits(folder_per_class(second))
    assert splits(folder_per_class(first, seed=1)) != splits(folder_per_class(first))
    assert set(splits(folder_per_class(first, test_fraction=0)).values()) == {"train"}


def test_train_and_test_folders_are_splits(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "Train/Normal/a.mp4", "Train/fire/b.mp4", "test/normal/c.avi", "test/Fire/d.mkv"
    )
    touch(root, "val/Normal/deep/down/e.MP4")
    manifest = folder_per_class(root)
    found: dict[str, tuple[Split, str]] = {
        v.video_id: (v.split, v.labels[0]) for v in manifest.videos
    }
    assert found == {
        "Train/Normal/a": ("train", "Normal"),
        "Train/fire/b": ("train", "Fire"),
        "test/normal/c": ("test", "Normal"),
        "test/Fire/d": ("test", "Fire"),
        "val/Normal/deep/down/e": ("val", "Normal"),
    }


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    manifest = folder_per_class(class_folders(tmp_path, "normal", "train"))
    assert manifest.classes == ("Normal", "train")


def test_other_files_hidden_files_and_link_loops_are_passed_over(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "normal/a.mp4", "fire/sub/b.webm", "notes/readme.txt")
    touch(root, "normal/.hidden.mp4", ".cache/x/c.mp4", "normal/._a.mp4")
    (root / "fire" / "loop").symlink_to(root)
    (tmp_path / "far").mkdir()
    touch(tmp_path / "far", "d.mp4")
    (root / "linked").symlink_to(tmp_path / "far")
    ids = [video.video_id for video in folder_per_class(root, test_fraction=0).videos]
    assert sorted(ids) == ["fire/sub/b", "linked/d", "normal/a"]


def test_videos_that_differ_in_their_suffix_alone_have_ids_of_their_own(tmp_path: Path) -> None:
    root = touch(tmp_path, "normal/a.mp4", "normal/a.avi", "fire/b.mp4")
    ids = {video.video_id for video in folder_per_class(root).videos}
    assert ids == {"normal/a.mp4", "normal/a.avi", "fire/b"}


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ([], "holds no videos, at no depth"),
        (["normal/readme.txt"], "holds no videos, at no depth"),
        (["a.mp4", "b.mp4"], "a.mp4: lies in no class folder"),
        (["normal/a.mp4", "fire/b.mp4", "c.mp4"], "c.mp4: lies in no class folder"),
        (["train/a.mp4", "test/normal/b.mp4"], "train/a.mp4: lies in no class folder"),
        (["calm/a.mp4", "fire/b.mp4"], "no folder is called 'Normal'; the class folders are calm"),
        (["normal/a.mp4"], "normal is the only class folder"),
        (["normal/a.mp4", "fire;smoke/b.mp4"], "the class name 'fire;smoke'"),
    ],
)
def test_folders_that_are_no_dataset_are_named_with_what_to_do(
    tmp_path: Path, names: list[str], what: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        folder_per_class(touch(tmp_path, *names))
    assert any(what in problem for problem in caught.value.problems)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there is no such folder"):
        folder_per_class(tmp_path / "nowhere")


@pytest.mark.shared
def test_real_clips_in_two_folders_are_a_dataset(shared_data: Path, tmp_path: Path) -> None:
    for name in ("fight", "normal"):
        (tmp_path / name).symlink_to(shared_data / "videos" / name)
    manifest = folder_per_class(tmp_path)
    assert manifest.classes == ("Normal", "fight")
    assert len(manifest.videos) == 60
    assert all(Path(video.path).is_file() for video in manifest.videos)
