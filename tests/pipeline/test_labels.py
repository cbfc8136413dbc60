"""The labels job without a language model: prepared files and imported embeddings."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Video
from exvad.laam.phrases import LabelPhrases
from exvad.pipeline.labels import write_labels
from tests.helpers.planted import CLASSES, config, plant_run


def make_run(folder: Path, *classes: str) -> None:
    """Write the manifest of a run with one video of the normal class."""
    (folder / "run").mkdir()
    videos = (Video("v0", "x.mp4", "train", (classes[0],)),)
    write_manifest(Manifest(classes, videos), str(folder / "run/manifest.parquet"))


def test_write_labels_copies_a_prepared_file_with_the_same_classes(tmp_path: Path) -> None:
    make_run(tmp_path, "Normal", "Arson")
    prepared = LabelPhrases(phrases={"Normal": ["a calm street"], "Arson": ["a fire"]}, origin="me")
    (tmp_path / "labels.json").write_text(prepared.model_dump_json())
    settings = config(f"run={tmp_path}/run", f"labels.file={tmp_path}/labels.json")
    assert write_labels(settings) == 0
    assert LabelPhrases.read(settings.labels_path) == prepared


def test_write_labels_refuses_a_prepared_file_with_other_classes(tmp_path: Path) -> None:
    make_run(tmp_path, "Normal", "Arson")
    prepared = LabelPhrases(phrases={"Normal": [], "Fighting": []}, origin="me")
    (tmp_path / "labels.json").write_text(prepared.model_dump_json())
    settings = config(f"run={tmp_path}/run", f"labels.file={tmp_path}/labels.json")
    with pytest.raises(ValueError, match="has the classes Normal, Fighting, the data set Normal"):
        write_labels(settings)


def test_write_labels_keeps_imported_embeddings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = plant_run(tmp_path, videos=len(CLASSES), validation=0.5)
    assert write_labels(config(f"run={run}")) == 0
    assert "label embeddings were imported" in capsys.readouterr().err
    assert not (run / "labels.json").exists()


def test_write_labels_needs_a_preprocessed_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exvad preprocess"):
        write_labels(config(f"run={tmp_path}/run"))
