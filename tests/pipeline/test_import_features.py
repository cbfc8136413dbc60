"""Features are imported without videos, and videos that have none are named once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.config import load_config
from exvad.data.dataset import read_run_manifest
from exvad.pipeline.import_features import import_into_run
from exvad.pipeline.progress.names import short_list
from exvad.store.run_data import RunData
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


def test_short_list_names_ten_and_counts_the_others() -> None:
    assert short_list(["a", "b"]) == "a, b"
    assert short_list([str(number) for number in range(12)]).endswith("8, 9 and 2 more")
