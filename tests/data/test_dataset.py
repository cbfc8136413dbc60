"""The configuration says which data set is meant, or is told what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import Config, load_config
from exvad.data.dataset import load_manifest, run_manifest, saved_manifest
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import ManifestError, Video
from exvad.data.world import CLASSES, Scene, render_video


def config(*overrides: str) -> Config:
    """The demo's configuration with overrides."""
    return load_config("demo", overrides)


def videos(count: int) -> tuple[Video, ...]:
    """Videos that need not exist, half of them normal."""
    return tuple(
        Video(f"v{number}", f"/v/v{number}.mp4", "train", (("Normal", "Fighting")[number % 2],))
        for number in range(count)
    )


def test_a_manifest_is_read_and_gets_a_validation_split(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(Manifest(("Normal", "Fighting"), videos(20)), path)
    read = load_manifest(
        config("data.kind=manifest", f"data.manifest={path}", "data.validation=0.2")
    )
    assert len(read.of_split("val")) == 4
    assert len(read.of_split("train")) == 16
    assert {video.labels[0] for video in read.of_split("val")} == {"Normal", "Fighting"}


def test_the_split_seed_chooses_the_validation_videos(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(Manifest(("Normal", "Fighting"), videos(40)), path)
    given = ("data.kind=manifest", f"data.manifest={path}")
    one, same, other = (
        load_manifest(config(*given, f"data.split_seed={seed}")).of_split("val")
        for seed in (0, 0, 1)
    )
    assert one == same != other


def test_no_validation_split_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    manifest = Manifest(("Normal", "Fighting"), videos(20))
    write_manifest(manifest, path)
    read = load_manifest(config("data.kind=manifest", f"data.manifest={path}", "data.validation=0"))
    assert read == manifest


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["data.kind=manifest"], r"data\.manifest is empty: give the path of a manifest"),
        (["data.kind=world", "data.root=''"], r"data\.root is empty: .* the world videos"),
        (["data.kind=folder", "data.root=''"], r"data\.root is empty: .* the folder videos"),
        (["data.kind=ucf_crime", "data.root=/v"], r"data\.annotations is empty: .*ucf_crime's"),
        (["data.kind=xd_violence", "data.root=/v"], r"data\.annotations is empty: .*xd_violence's"),
    ],
)
def test_what_a_kind_of_data_set_lacks_is_told(overrides: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        load_manifest(config(*overrides))


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.csv"):
        load_manifest(config("data.kind=manifest", f"data.manifest={tmp_path / 'gone.csv'}"))


def test_the_world_is_rendered_where_it_is_not_there_yet(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    manifest = load_manifest(
        config(
            f"data.root={tmp_path}",
            "data.world.train_videos=1",
            "data.world.test_videos=1",
            "data.world.seed=3",
        ),
        progress=lambda done, of: told.append((done, of)),
    )
    assert manifest.classes == CLASSES
    assert [video.split for video in manifest.videos] == ["train", "test"]
    assert all(Path(video.path).is_file() for video in manifest.videos)
    assert told == [(1, 2), (2, 2)]


def test_a_folder_per_class_is_a_data_set(tmp_path: Path) -> None:
    for label in ("Normal", "Fighting"):
        (tmp_path / label).mkdir()
        for number in range(2):
            render_video(Scene(number, label, 11, 11), tmp_path / label / f"{label}{number}.mp4")
    manifest = load_manifest(config("data.kind=folder", f"data.root={tmp_path}"))
    assert manifest.classes == ("Normal", "Fighting")
    assert len(manifest.videos) == 4


def test_the_manifest_of_a_run_is_read_back(tmp_path: Path) -> None:
    manifest = Manifest(("Normal", "Fighting"), videos(4))
    settings = config(f"run={tmp_path}")
    write_manifest(manifest, run_manifest(settings))
    assert saved_manifest(settings) == manifest


def test_a_run_without_a_manifest_says_which_job_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no manifest .*: run jobs/preprocess\.py"):
        saved_manifest(config(f"run={tmp_path}"))
