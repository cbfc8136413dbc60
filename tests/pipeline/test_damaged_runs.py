"""A damaged file of a run ends a job in one sentence that names it and says what to do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exvad.cli.main import main
from exvad.data.dataset import read_run_manifest
from exvad.store.parts import CorruptPartError
from exvad.store.store import Store
from exvad.training.data import worker_data
from exvad.training.videos import TrainingVideos
from tests.helpers.exports import save_planted_checkpoint
from tests.helpers.planted import config, plant_run

SETTINGS = ["model.text=none", "labels.k=0"]
REMEDY = re.compile(r"again|delete|restore|--fresh|move", re.IGNORECASE)
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "zeroed inside": lambda content: (
        content[: len(content) // 3] + bytes(len(content) // 3) + content[2 * (len(content) // 3) :]
    ),
    "a text": lambda _: b"another file\n",
    "another JSON": lambda _: b'{"a": [1, 2]}',
    "a list": lambda _: b"[]",
}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with features, labels and a checkpoint; nothing was trained."""
    folder = tmp_path_factory.mktemp("whole")
    run = plant_run(folder, videos=20, validation=0.3, tests=5)
    save_planted_checkpoint(run / "checkpoint", *SETTINGS)
    return run


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


def damage(run: Path, pattern: str, kind: str) -> Path:
    """Damage a file of a run; return it."""
    file = sorted(run.glob(pattern))[0]
    file.write_bytes(DAMAGES[kind](file.read_bytes()))
    return file


def refusal(verb: str, run: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a job that is refused; return the sentence."""
    assert main([verb, "--no-check", f"run={run}", *SETTINGS, *words]) == 2
    message = capsys.readouterr().err
    (line,) = message.splitlines()
    assert line.startswith("exvad: ")
    assert REMEDY.search(line), line
    return line


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("pattern", ["manifest.parquet", "labels.npz", "store/vision/stage.json"])
def test_train_names_the_damaged_file(
    run: Path, pattern: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = damage(run, pattern, kind)
    assert str(file) in refusal("train", run, capsys)
    assert not (run / "train").exists()


@pytest.mark.parametrize("kind", DAMAGES)
def test_training_reads_no_damaged_part(run: Path, kind: str) -> None:
    settings = config(f"run={run}", *SETTINGS)
    store, manifest = Store(settings.store_path), read_run_manifest(settings)
    videos = TrainingVideos.find(manifest, store, settings)
    file = damage(run, "store/vision/*.parquet", kind)
    with pytest.raises(CorruptPartError, match="beginning with `exvad preprocess`") as caught:
        worker_data(store, videos, settings)
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize(
    "pattern",
    [
        "manifest.parquet",
        "store/vision/*.parquet",
        *(f"checkpoint/{name}" for name in ("model.safetensors", "config.yaml", "labels.json")),
        *(f"checkpoint/{name}" for name in ("metrics.json", "provenance.json")),
    ],
)
def test_evaluate_names_the_damaged_file(
    run: Path, pattern: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = damage(run, pattern, kind)
    message = refusal("evaluate", run, capsys, "--resamples", "0")
    assert str(file.parent if pattern.startswith("checkpoint") else file) in message
    assert file.name in message
    assert not (run / "summary.json").exists()


def test_labels_that_are_no_vectors_are_damaged(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = dict(np.load(run / "labels.npz"))
    np.savez(run / "labels.npz", **{name: rows[0, 0] for name, rows in arrays.items()})
    assert f"{run}/labels.npz is damaged" in refusal("train", run, capsys)


def test_label_file_that_is_none_says_how_to_write_it_again(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "labels.npz").unlink()
    (run / "labels.json").write_text("[1]")
    message = refusal("train", run, capsys)
    assert f"{run}/labels.json is no label file" in message
    assert "run `exvad labels` again" in message


@pytest.mark.parametrize("kind", ["zeroed", "a text"])
def test_train_refuses_what_is_no_database_of_mlflow(
    run: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = DAMAGES[kind](bytes(range(256)) * 32)
    (run / "mlflow.db").write_bytes(content)
    message = refusal("train", run, capsys)
    assert f"{run}/mlflow.db: " in message
    assert "move it away, and the same command begins a new one" in message
    assert (run / "mlflow.db").read_bytes() == content
