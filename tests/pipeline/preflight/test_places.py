"""Folders to write to, and data sets to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from exvad.config import load_config
from exvad.pipeline.preflight.places import check_data, check_place
from exvad.video.confinement.kernel import set_dumpable
from tests.helpers.disks import fill, small_disk
from tests.helpers.videos import draw_index, write_video
from tests.helpers.world_videos import write_listing


def test_place_is_checked_where_it_will_be_made_and_left_as_it_was(tmp_path: Path) -> None:
    finding = check_place("run", str(tmp_path / "a/b"))
    assert finding.ok
    assert "GiB free" in finding.detail
    assert list(tmp_path.iterdir()) == []


def test_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = check_place("run", str(tmp_path / "file/run"))
    assert not finding.ok
    assert "is a file" in finding.detail


def test_place_on_a_full_disk_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        assert check_place("store", str(disk / "store")).ok
        fill(disk)
        finding = check_place("store", str(disk / "store"))
        assert not finding.ok
        assert "make room" in finding.detail


def test_remote_place_is_written_to(tmp_path: Path) -> None:
    assert check_place("store", f"file://{tmp_path}/store").ok
    assert list((tmp_path / "store").iterdir()) == []
    finding = check_place("store", "nonsense://x/y")
    assert not finding.ok
    assert "can't be written to" in finding.detail


def test_data_names_every_missing_setting() -> None:
    detail = check_data(load_config("ucf_crime")).detail
    assert "data.root is empty" in detail
    assert "data.annotations is empty" in detail
    absent = ["data.root=/no/videos", "data.annotations=/no/files"]
    detail = check_data(load_config("ucf_crime", absent)).detail
    assert "/no/videos does not exist" in detail
    assert "/no/files does not exist" in detail


def test_data_opens_one_of_the_first_videos(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", 8, size=(64, 48))
    (tmp_path / "bad.mp4").write_text("no video")
    config = load_config("demo", ["data.kind=manifest", f"data.manifest={tmp_path}/list.csv"])
    videos = [(tmp_path / "bad.mp4", "Normal"), (tmp_path / "good.mp4", "Fighting")]
    write_listing(tmp_path / "list.csv", videos)
    finding = check_data(config)
    assert finding.ok
    assert "good.mp4 can be read" in finding.detail
    write_listing(tmp_path / "list.csv", [videos[0], (tmp_path / "absent.mp4", "Normal")])
    finding = check_data(config)
    assert not finding.ok
    assert "absent.mp4: there is no such file" in finding.detail


def test_data_opens_no_video_that_it_cannot_confine_as_the_setting_demands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.sandbox.CHILD", "tests.helpers.unconfined_child")
    video = write_video(tmp_path / "good.mp4", 8, size=(64, 48))
    write_listing(tmp_path / "list.csv", [(video, "Normal")])
    settings = ["data.kind=manifest", f"data.manifest={tmp_path}/list.csv"]
    strict = check_data(load_config("demo", [*settings, "stages.sandbox=strict"]))
    best = check_data(load_config("demo", [*settings, "stages.sandbox=best"]))
    set_dumpable(True)
    assert "1 video, none of which was opened: sandbox=strict, but this machine" in strict.detail
    assert "can be read" in best.detail


def test_demo_world_is_not_rendered(tmp_path: Path) -> None:
    assert check_data(load_config("demo", [f"data.root={tmp_path}/videos"])).ok
    assert list(tmp_path.iterdir()) == []


def test_events_beyond_the_end_of_a_video_are_named(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 50)
    write_video(tmp_path / "b.mp4", 50)
    (tmp_path / "list.csv").write_text(
        "# classes: Normal, Robbery\npath,split,labels,events\nabsent1.mp4,train,Normal,\n"
        "a.mp4,test,Robbery,Robbery:10-90000\nabsent2.mp4,test,Robbery,Robbery:10-90000\n"
        "b.mp4,test,Robbery,Robbery:5000-6000\n"
    )
    overrides = ["data.kind=manifest", f"data.manifest={tmp_path / 'list.csv'}"]
    config = load_config("demo", overrides)
    detail = check_data(config, compares_events=True).detail
    assert "note: a: Robbery:10-90000 ends after the last of 50 frames" in detail
    assert "note: b: Robbery:5000-6000 begins after the last of 50 frames" in detail
    assert "note" not in check_data(config).detail


def test_events_in_a_folder_of_frames_are_compared_at_its_rate(tmp_path: Path) -> None:
    (tmp_path / "door").mkdir()
    for index in range(50):
        Image.fromarray(draw_index(index, (64, 48))).save(tmp_path / "door" / f"{index}.jpg")
    (tmp_path / "list.csv").write_text(
        "# classes: Normal, Robbery\npath,split,labels,events\nabsent1.mp4,train,Normal,\n"
        "door,test,Robbery,Robbery:4s-6s\nabsent2.mp4,test,Normal,\n"
    )
    overrides = ["data.kind=manifest", f"data.manifest={tmp_path / 'list.csv'}"]
    config = load_config("demo", [*overrides, "data.folder_fps=10"])
    finding = check_data(config, compares_events=True)
    assert "door can be read" in finding.detail
    assert "note: door: Robbery:40-60 ends after the last of 50 frames" in finding.detail
