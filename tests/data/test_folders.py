"""Folders of videos as data sets: one subfolder per class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from exvad.data.folders import folder_per_class, video_finder
from exvad.data.manifest import Manifest
from exvad.data.records import ManifestError, Split
from tests.helpers.annotations import touch_files


def splits(manifest: Manifest) -> dict[str, str]:
    """Return the split of each video."""
    return {video.video_id: video.split for video in manifest.videos}


def class_folders(root: Path, *folders: str, videos: int = 8) -> Path:
    """Create class folders with empty videos."""
    return touch_files(root, *(f"{name}/{i}.mp4" for name in folders for i in range(videos)))


def test_folder_per_class_holds_out_a_quarter_of_each_class(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "root", "normal", "Fighting", "arson")
    manifest = folder_per_class(root)
    assert manifest.classes == ("Normal", "Fighting", "arson")
    held_out = Counter(video.labels[0] for video in manifest.of_split("test"))
    assert held_out == {"Normal": 2, "Fighting": 2, "arson": 2}
    assert len(manifest.of_split("train")) == 18
    assert manifest.by_id()["normal/0"].path == str(root / "normal" / "0.mp4")


def test_folder_per_class_chooses_test_videos_by_seed_and_name(tmp_path: Path) -> None:
    first = class_folders(tmp_path / "first", "normal", "Fighting")
    second = class_folders(tmp_path / "second", "Fighting", "normal")
    assert splits(folder_per_class(first)) == splits(folder_per_class(second))
    assert splits(folder_per_class(first, seed=1)) != splits(folder_per_class(first))
    assert set(splits(folder_per_class(first, test_fraction=0)).values()) == {"train"}


def test_folder_per_class_takes_train_and_test_folders_as_splits(tmp_path: Path) -> None:
    root = touch_files(
        tmp_path, "Train/Normal/a.mp4", "Train/fire/b.mp4", "test/normal/c.avi", "test/Fire/d.mkv"
    )
    touch_files(root, "val/Normal/deep/down/e.MP4")
    manifest = folder_per_class(root)
    listed: dict[str, tuple[Split, str]] = {
        v.video_id: (v.split, v.labels[0]) for v in manifest.videos
    }
    assert listed == {
        "Train/Normal/a": ("train", "Normal"),
        "Train/fire/b": ("train", "Fire"),
        "test/normal/c": ("test", "Normal"),
        "test/Fire/d": ("test", "Fire"),
        "val/Normal/deep/down/e": ("val", "Normal"),
    }


def test_folder_per_class_accepts_a_class_called_train(tmp_path: Path) -> None:
    manifest = folder_per_class(class_folders(tmp_path, "normal", "train"))
    assert manifest.classes == ("Normal", "train")


def test_folder_per_class_skips_other_files_hidden_files_and_link_loops(tmp_path: Path) -> None:
    root = touch_files(tmp_path / "root", "normal/a.mp4", "fire/sub/b.webm", "notes/readme.txt")
    touch_files(root, "normal/.hidden.mp4", ".cache/x/c.mp4", "normal/._a.mp4")
    (root / "fire" / "loop").symlink_to(root)
    (tmp_path / "far").mkdir()
    touch_files(tmp_path / "far", "d.mp4")
    (root / "linked").symlink_to(tmp_path / "far")
    ids = [video.video_id for video in folder_per_class(root, test_fraction=0).videos]
    assert sorted(ids) == ["fire/sub/b", "linked/d", "normal/a"]


def test_folder_per_class_gives_unique_ids_to_videos_that_differ_in_their_suffix(
    tmp_path: Path,
) -> None:
    root = touch_files(tmp_path, "normal/a.mp4", "normal/a.avi", "fire/b.mp4")
    ids = {video.video_id for video in folder_per_class(root).videos}
    assert ids == {"normal/a.mp4", "normal/a.avi", "fire/b"}


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ([], "has no videos at any depth"),
        (["normal/readme.txt"], "has no videos at any depth"),
        (["a.mp4", "b.mp4"], "a.mp4: lies in no class folder"),
        (["normal/a.mp4", "fire/b.mp4", "c.mp4"], "c.mp4: lies in no class folder"),
        (["train/a.mp4", "test/normal/b.mp4"], "train/a.mp4: lies in no class folder"),
        (["calm/a.mp4", "fire/b.mp4"], "no folder is called 'Normal'; the class folders are calm"),
        (["normal/a.mp4"], "normal is the only class folder"),
        (["normal/a.mp4", "fire;smoke/b.mp4"], "the class name 'fire;smoke'"),
    ],
)
def test_folder_per_class_says_what_is_wrong_with_a_folder(
    tmp_path: Path, names: list[str], what: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        folder_per_class(touch_files(tmp_path, *names))
    assert any(what in problem for problem in caught.value.problems)


def test_folder_per_class_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there is no such folder"):
        folder_per_class(tmp_path / "nowhere")


@pytest.mark.shared
def test_folder_per_class_reads_the_real_clips(shared_data: Path, tmp_path: Path) -> None:
    for name in ("fight", "normal"):
        (tmp_path / name).symlink_to(shared_data / "videos" / name)
    manifest = folder_per_class(tmp_path)
    assert manifest.classes == ("Normal", "fight")
    assert len(manifest.videos) == 60
    assert all(Path(video.path).is_file() for video in manifest.videos)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a.dav",
            "a.h264",
            "a.264",
            "a.265",
            "a.hevc",
            "a.mxf",
            "a.gif",
            "a.MP4",
            "a.vob",
            "a.ts",
        ),
        *("50 %d #1? [a] {b}.mp4", "cam.01.mp4"),
    ],
)
def test_folder_per_class_takes_videos_of_many_kinds(tmp_path: Path, name: str) -> None:
    root = touch_files(tmp_path, f"normal/{name}", "fire/b.mp4")
    manifest = folder_per_class(root, test_fraction=0)
    video = manifest.by_id()[f"normal/{Path(name).stem}"]
    assert video.path == str(root / "normal" / name)


def test_folder_per_class_takes_folders_of_frames_as_videos(tmp_path: Path) -> None:
    root = touch_files(
        tmp_path,
        *(
            f"{label}/{video}/{index}.jpg"
            for label in ("normal", "fire")
            for video in ("01", "02.5")
            for index in range(3)
        ),
        *("fire/cam/03/0.png", "fire/film.mp4", "fire/film/0.jpg", "fire/notes/readme.txt"),
    )
    manifest = folder_per_class(root, test_fraction=0)
    assert sorted(video.video_id for video in manifest.videos) == [
        *("fire/01", "fire/02.5", "fire/cam/03", "fire/film", "normal/01", "normal/02.5"),
    ]
    assert manifest.by_id()["fire/02.5"].path == str(root / "fire" / "02.5")
    assert manifest.by_id()["fire/film"].path == str(root / "fire" / "film.mp4")


def test_video_finder_finds_folders_of_frames(tmp_path: Path) -> None:
    root = touch_files(tmp_path, "test/01/0.jpg", "deep/below/02/0.jpg")
    find = video_finder(root)
    assert find("test/01") == str(root / "test" / "01")
    assert find("other/02") == str(root / "deep" / "below" / "02")
    assert find("other/03") == str(root / "other" / "03")
