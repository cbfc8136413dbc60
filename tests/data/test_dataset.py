"""The data set of a configuration, or an error that names the missing setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import Config, load_config
from exvad.data.dataset import load_manifest, read_run_manifest, run_manifest_path
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import ManifestError, Video
from exvad.data.world import CLASSES, Scene, render_video


def config(*overrides: str) -> Config:
    """Return the demo's configuration with overrides."""
    return load_config("demo", overrides)


def videos(count: int) -> tuple[Video, ...]:
    """Return videos that need not exist, half of them normal."""
    return tuple(
        Video(f"v{number}", f"/v/v{number}.mp4", "train", (("Normal", "Fighting")[number % 2],))
        for number in range(count)
    )


def test_load_manifest_adds_a_validation_split(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(Manifest(("Normal", "Fighting"), videos(20)), path)
    read = load_manifest(
        config("data.kind=manifest", f"data.manifest={path}", "data.validation=0.2")
    )
    assert len(read.of_split("val")) == 4
    assert len(read.of_split("train")) == 16
    assert {video.labels[0] for video in read.of_split("val")} == {"Normal", "Fighting"}


def test_load_manifest_chooses_validation_videos_by_the_split_seed(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(Manifest(("Normal", "Fighting"), videos(40)), path)
    dataset = ("data.kind=manifest", f"data.manifest={path}")
    one, same, other = (
        load_manifest(config(*dataset, f"data.split_seed={seed}")).of_split("val")
        for seed in (0, 0, 1)
    )
    assert one == same != other


def test_load_manifest_makes_no_validation_split_for_a_share_of_0(tmp_path: Path) -> None:
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
def test_load_manifest_names_the_setting_that_is_missing(
    overrides: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        load_manifest(config(*overrides))


def test_load_manifest_names_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.csv"):
        load_manifest(config("data.kind=manifest", f"data.manifest={tmp_path / 'gone.csv'}"))


def test_load_manifest_renders_the_world(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    manifest = load_manifest(
        config(
            f"data.root={tmp_path}",
            "data.world.train_videos=1",
            "data.world.test_videos=1",
            "data.world.seed=3",
        ),
        progress=lambda done, of: calls.append((done, of)),
    )
    assert manifest.classes == CLASSES
    assert [video.split for video in manifest.videos] == ["train", "test"]
    assert all(Path(video.path).is_file() for video in manifest.videos)
    assert calls == [(1, 2), (2, 2)]


def test_load_manifest_reads_a_folder_per_class(tmp_path: Path) -> None:
    for label in ("Normal", "Fighting"):
        (tmp_path / label).mkdir()
        for number in range(2):
            render_video(Scene(number, label, 11, 11), tmp_path / label / f"{label}{number}.mp4")
    manifest = load_manifest(config("data.kind=folder", f"data.root={tmp_path}"))
    assert manifest.classes == ("Normal", "Fighting")
    assert len(manifest.videos) == 4


def test_read_run_manifest_returns_the_stored_manifest(tmp_path: Path) -> None:
    manifest = Manifest(("Normal", "Fighting"), videos(4))
    settings = config(f"run={tmp_path}")
    write_manifest(manifest, run_manifest_path(settings))
    assert read_run_manifest(settings) == manifest


def test_read_run_manifest_says_which_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no manifest .*: run `exvad preprocess` with the same run="
    ):
        read_run_manifest(config(f"run={tmp_path}"))


def test_read_run_manifest_says_what_writes_a_damaged_one_again(tmp_path: Path) -> None:
    settings = config(f"run={tmp_path}")
    Path(run_manifest_path(settings)).write_bytes(b"PAR1 cut short")
    with pytest.raises(ValueError, match=r"manifest\.parquet: .*`exvad preprocess` writes it") as e:
        read_run_manifest(settings)
    assert "imported" not in str(e.value)
