"""MLflow's SQLite file of a run: runs that were copied or moved, and other programs' locks."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from exvad.checkpoints.local_tracking import (
    adopt_artifacts,
    database_path,
    patient_uri,
    tracking_errors,
)
from exvad.checkpoints.registry import resolve_checkpoint
from exvad.checkpoints.tracking import open_experiment
from exvad.config import Config, load_config
from tests.helpers.processes import free_port

pytestmark = pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated")


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    # MLflow keeps the address in the environment: set it first, so that it is restored after.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


def configured(folder: Path) -> Config:
    """Return a configuration of a run in a folder that exists."""
    folder.mkdir(parents=True, exist_ok=True)
    # Named, because MLflow puts the address it used last into the environment.
    return load_config("demo", [f"run={folder}", f"mlflow.uri=sqlite:///{folder}/mlflow.db"])


def log_model(config: Config, text: str) -> str:
    """Log a file as a checkpoint, register it as `exvad@champion`, and return the run's id."""
    with mlflow.start_run(experiment_id=open_experiment(config)) as run:
        mlflow.log_text(text, "checkpoint/model.txt")
    client = MlflowClient()
    if not client.search_registered_models():
        client.create_registered_model("exvad")
    source = f"{run.info.artifact_uri}/checkpoint"
    version = client.create_model_version("exvad", source, run.info.run_id)
    client.set_registered_model_alias("exvad", "champion", version.version)
    return str(run.info.run_id)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run in which a model was logged, and the id of MLflow's run; tests copy it."""
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        return folder, log_model(configured(folder), "first")


@pytest.fixture
def run(logged: tuple[Path, str], tmp_path: Path) -> Path:
    """A run in which a model was logged before it was moved here."""
    shutil.copytree(logged[0], tmp_path / "run")
    adopt_artifacts(tmp_path / "run/mlflow.db")
    return tmp_path / "run"


def checkpoint_text(reference: str, config: Config) -> str:
    """Return what was logged as a checkpoint."""
    return (resolve_checkpoint(reference, config.mlflow_uri) / "model.txt").read_text()


def test_moved_run_keeps_its_models(logged: tuple[Path, str], run: Path, tmp_path: Path) -> None:
    run_id = logged[1]
    run.rename(tmp_path / "after")
    moved = configured(tmp_path / "after")
    assert checkpoint_text(run_id, moved) == "first"
    assert checkpoint_text("models:/exvad@champion", moved) == "first"
    assert checkpoint_text("models:/exvad/1", moved) == "first"


def test_copied_run_writes_into_itself_and_leaves_the_original_alone(
    logged: tuple[Path, str], run: Path, tmp_path: Path
) -> None:
    original = configured(run)
    shutil.copytree(run, tmp_path / "copy")
    copy = configured(tmp_path / "copy")
    second = log_model(copy, "second")
    assert checkpoint_text("models:/exvad@champion", copy) == "second"
    assert checkpoint_text("models:/exvad@champion", original) == "first"
    assert checkpoint_text(logged[1], copy) == "first"
    assert (tmp_path / "copy/mlartifacts" / second).is_dir()
    assert not (run / "mlartifacts" / second).exists()


def test_names_that_only_begin_alike_are_left_alone(run: Path, tmp_path: Path) -> None:
    run.rename(tmp_path / "after")
    database = tmp_path / "after/mlflow.db"
    foreign = f"{(run / 'mlartifacts').as_uri()}-of-others/x"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (foreign,))
    adopt_artifacts(database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT artifact_uri FROM runs").fetchall() == [(foreign,)]


def test_artifacts_that_are_stored_elsewhere_on_purpose_stay_there(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    database = tmp_path / "elsewhere/mlflow.db"
    shutil.copy(run / "mlflow.db", database)
    before = database.read_bytes()
    adopt_artifacts(database)
    assert database.read_bytes() == before


@contextmanager
def locked(database: Path) -> Iterator[sqlite3.Connection]:
    """Hold the write lock of a database."""
    with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def test_reader_that_stays_does_not_block_logging(run: Path) -> None:
    config = configured(run)
    with closing(sqlite3.connect(run / "mlflow.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        log_model(config, "second")
    assert checkpoint_text("models:/exvad@champion", config) == "second"


def test_writer_is_waited_for_longer_than_five_seconds(run: Path) -> None:
    config = configured(run)
    with locked(run / "mlflow.db") as connection:
        release = threading.Timer(7, connection.execute, ("ROLLBACK",))
        release.start()
        log_model(config, "second")
        release.join()
    assert checkpoint_text("models:/exvad@champion", config) == "second"


def test_lock_is_reported_in_one_sentence(run: Path) -> None:
    database = run / "mlflow.db"
    sentence = r"mlflow.db: it is locked by another program; close .*; the training is complete"
    with (
        locked(database),
        closing(sqlite3.connect(database, timeout=0.1)) as other,
        pytest.raises(ValueError, match=sentence),
        tracking_errors(database, "the training is complete"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_file_that_is_no_database_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").mkdir()
    (tmp_path / "mlflow.db").write_text("x" * 5000)
    with pytest.raises(ValueError, match=r"mlflow\.db: file is not a database"):
        adopt_artifacts(tmp_path / "mlflow.db")


@pytest.mark.parametrize("uri", ["http://tracking:5000", "postgresql://u@h/d", "sqlite:///a?x=1"])
def test_patience_is_added_to_plain_sqlite_only(uri: str) -> None:
    assert patient_uri(uri) == uri
    assert patient_uri("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db?timeout=60"
    assert database_path("sqlite:////data/mlflow.db?timeout=60") == Path("/data/mlflow.db")


def test_the_address_of_a_server_that_went_away_is_reported_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = MlflowClient(f"http://user:secret@127.0.0.1:{free_port()}")
    with (
        pytest.raises(ValueError, match=r"request to http://127\.0\.0\.1.*refused") as caught,
        tracking_errors(None),
    ):
        client.get_experiment_by_name("exvad")
    assert "secret" not in str(caught.value)


def test_processes_that_begin_together_make_one_database(tmp_path: Path) -> None:
    code = (
        "import sys, time, mlflow\n"
        "from pathlib import Path\n"
        "from exvad.checkpoints.tracking import prepare_tracking\n"
        "from exvad.config import load_config\n"
        "folder, number = Path(sys.argv[1]), sys.argv[2]\n"
        "(folder / f'ready{number}').touch()\n"
        "while len(list(folder.glob('ready*'))) < 3:\n"
        "    time.sleep(0.01)\n"
        "prepare_tracking(load_config('demo', [f'run={folder}/run', "
        "f'mlflow.uri=sqlite:///{folder}/run/mlflow.db']))\n"
    )
    (tmp_path / "run").mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(number)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    uri = f"sqlite:///{tmp_path}/run/mlflow.db"
    assert MlflowClient(uri).get_experiment_by_name("exvad") is not None
    assert not list((tmp_path / "run").glob(".mlflow*"))
