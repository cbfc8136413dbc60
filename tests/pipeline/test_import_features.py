"""Features are imported without videos, and videos that have none are named once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.config import load_config
from exvad.data.dataset import read_run_manifest
from exvad.pipeline.import_features import import_into_run
from exvad.pipeline.preprocess import preprocess
from exvad.pipeline.progress.names import missing_lines, short_list
from exvad.store.fingerprint import FingerprintError
from exvad.store.run_data import RunData
from exvad.store.store import Store
from tests.helpers.annotations import UCF_FILES, write_annotations


def test_official_lists_need_no_root_where_features_are_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = write_annotations(tmp_path / "lists", UCF_FILES)
    run = tmp_path / "run"
    config = load_config(
        "ucf_crime", [f"data.annotations={annotations}", f"run={run}", "data.validation=0"]
    )
    features = tmp_path / "features"
    features.mkdir()
    np.save(features / "Abuse001_x264.npy", np.ones((3, 6), np.float32))
    np.savez(tmp_path / "text.npz", Abuse001_x264=np.ones(4, np.float32))
    assert import_into_run(config, features, tmp_path / "text.npz") == 0
    manifest = read_run_manifest(config)
    assert "Abuse001_x264" in [video.video_id for video in manifest.videos]
    missing = [v.video_id for v in manifest.videos if v.video_id != "Abuse001_x264"]
    shown = capsys.readouterr().err
    assert all(shown.count(video) == 1 for video in missing)
    data = RunData.load(config, ("train",))
    features_of_video = data.bank.inputs("Abuse001_x264")
    assert features_of_video.visual.shape == (3, 6)
    assert features_of_video.text is not None
    assert features_of_video.text.shape == (4,)


@pytest.mark.parametrize("wrong", ["text", "labels"])
def test_a_wrong_file_leaves_the_run_as_it_was(tmp_path: Path, wrong: str) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("path,split,labels\na.mp4,train,Normal\nb.mp4,test,Arson\n")
    config = load_config(
        "demo", ["data.kind=manifest", f"data.manifest={table}", f"run={tmp_path}/run"]
    )
    np.save(tmp_path / "a.npy", np.ones((3, 6), np.float32))
    np.savez(tmp_path / "text.npz", a=np.ones((2, 4)) if wrong == "text" else np.ones(4))
    labels = np.zeros((1, 4)) if wrong == "labels" else np.ones((1, 4))
    np.savez(tmp_path / "labels.npz", Normal=np.ones((1, 4)), Arson=labels)
    with pytest.raises(ValueError, match=f"{wrong}.npz"):
        import_into_run(config, tmp_path, tmp_path / "text.npz", tmp_path / "labels.npz")
    assert not (tmp_path / "run/store").exists()
    assert not (tmp_path / "run/manifest.parquet").exists()


@pytest.mark.parametrize(("name", "width"), [("text", 5), ("other", 4)])
def test_texts_unlike_the_stored_ones_leave_the_run_as_it_was(
    tmp_path: Path, name: str, width: int
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("path,split,labels\na.mp4,train,Normal\nb.mp4,test,Arson\n")
    config = load_config(
        "demo", ["data.kind=manifest", f"data.manifest={table}", f"run={tmp_path}/run"]
    )
    features = tmp_path / "features"
    features.mkdir()
    np.save(features / "a.npy", np.ones((3, 6), np.float32))
    np.savez(tmp_path / "text.npz", a=np.ones(4, np.float32))
    assert import_into_run(config, features, tmp_path / "text.npz") == 0
    np.save(features / "b.npy", np.ones((3, 6), np.float32))
    np.savez(tmp_path / f"{name}.npz", b=np.ones(width, np.float32))
    with pytest.raises(ValueError, match=r"features 5 wide, those stored 4|other\.npz"):
        import_into_run(config, features, tmp_path / f"{name}.npz")
    keys = Store(config.store_path).read_stage("vision").keys()
    assert [key[0] for key in keys] == ["a"]


def test_videos_without_text_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("path,split,labels\na.mp4,train,Normal\nb.mp4,test,Arson\n")
    config = load_config(
        "demo", ["data.kind=manifest", f"data.manifest={table}", f"run={tmp_path}/run"]
    )
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 6), np.float32))
    np.savez(tmp_path / "text.npz", a=np.ones(4, np.float32))
    assert import_into_run(config, tmp_path, tmp_path / "text.npz") == 0
    assert "without text features: b; " in capsys.readouterr().err


def test_videos_that_lack_texts_only_are_named_so() -> None:
    missing = {"a": "no explanation", "b": "chunk 1 of 2 is missing", "c": "no explanation"}
    assert missing_lines(missing, "skipped") == [
        "without features, skipped (1): b",
        "without text features, skipped (2): a, c; model.text=none needs none",
    ]
    assert missing_lines({}, "skipped") == []


def test_short_list_names_ten_and_counts_the_others() -> None:
    assert short_list(["a", "b"]) == "a, b"
    assert short_list([str(number) for number in range(12)]).endswith("8, 9 and 2 more")


def test_a_run_whose_features_have_other_settings_keeps_its_manifest(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("path,split,labels\na.mp4,train,Normal\nb.mp4,test,Arson\n")
    settings = ["data.kind=manifest", f"data.manifest={table}", f"run={tmp_path}/run"]
    np.save(tmp_path / "a.npy", np.ones((3, 6), np.float32))
    assert import_into_run(load_config("demo", settings), tmp_path) == 0
    before = (tmp_path / "run/manifest.parquet").read_bytes()
    table.write_text(table.read_text() + "c.mp4,test,Normal\n")
    with pytest.raises(FingerprintError, match="made with other settings"):
        import_into_run(load_config("demo", [*settings, "data.stride=3"]), tmp_path)
    with pytest.raises(FingerprintError, match="made with other settings"):
        preprocess(load_config("demo", settings))
    assert (tmp_path / "run/manifest.parquet").read_bytes() == before
