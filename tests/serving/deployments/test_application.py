"""The application is built, or refused with the reason, before Ray starts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import serve

from exvad.cli.main import main
from exvad.data.versions import OtherVersionError
from exvad.serving.deployments.application import build_application, from_args
from exvad.serving.settings import ServerSettings
from tests.helpers.checkpoints import save_untrained_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained_checkpoint(tmp_path_factory.mktemp("application") / "checkpoint")


def make_old_database(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("create table hooks (url text); pragma user_version = 6;")


def test_from_args_builds_the_application_without_ray(checkpoint: Path, tmp_path: Path) -> None:
    application = from_args({"checkpoint": str(checkpoint), "spool": str(tmp_path / "spool")})
    assert isinstance(application, serve.Application)
    assert not ray.is_initialized()
    assert not (tmp_path / "spool").exists()


def test_from_args_builds_detection_without_training(tmp_path: Path) -> None:
    settings = tmp_path / "gate.yaml"
    args = {"checkpoint": str(settings), "spool": str(tmp_path / "spool")}
    args["manifest"] = str(tmp_path / "labels.csv")
    settings.write_text("clip: {model: 'package:clip'}\n")
    assert isinstance(from_args(args), serve.Application)
    assert not ray.is_initialized()
    settings.write_text(f"clip: {{model: 'local-dir:{tmp_path}/absent'}}\n")
    form = r"exvad needs CLIP.*with clip: \{model: local-dir:FOLDER\} in a YAML file"
    with pytest.raises(ValueError, match=form):
        from_args(args)


def test_the_start_says_what_confines_decoding(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from_args({"checkpoint": str(checkpoint), "spool": str(tmp_path), "sandbox": "strict"})
    line = capsys.readouterr().err
    assert line.startswith("sandbox: ")
    assert "seccomp" in line
    assert "files, network and other processes are out of reach" in line


def test_a_strict_server_does_not_start_where_decoding_cannot_be_confined(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.sandbox.CHILD", "tests.helpers.unconfined_child")
    with pytest.raises(ValueError, match="sandbox=strict, but this machine can't keep files"):
        from_args({"checkpoint": str(checkpoint), "spool": str(tmp_path), "sandbox": "strict"})


def test_from_args_without_args_reads_the_file_of_the_environment(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "serve.yaml").write_text(f"spool: {tmp_path}/spool\nallowed_root: /none\n")
    monkeypatch.setenv("EXVAD_SERVE", str(tmp_path / "serve.yaml"))
    monkeypatch.setenv("EXVAD_CHECKPOINT", str(checkpoint))
    with pytest.raises(ValueError, match="allowed_root: /none is no folder"):
        from_args({})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"replicas": 3}, "args: there is no setting 'replicas'"),
        ({"checkpoint": "/none"}, "/none"),
        ({"webhook_secret": "/none"}, "webhook_secret: /none: No such file"),
        ({"api_keys": "/none"}, "api_keys"),
        ({"allowed_root": "/none"}, "allowed_root: /none is no folder"),
        ({"manifest": "/none/labels.csv"}, "/none/labels.csv: its folder does not exist"),
        ({"public_url": "https://a.example"}, "public_url: other machines reach .*: set api_keys"),
        ({"spool": "/etc/hostname"}, "/etc/hostname is no folder: set another spool folder"),
        ({"models": {"llm.backend": "vllm"}}, "the server needs vLLM in its own environment"),
        ({"models": {"llm.backned": "vllm"}}, "llm.backned: it can't be changed after training"),
    ],
)
def test_from_args_refuses_settings_that_cannot_work(
    checkpoint: Path, tmp_path: Path, args: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        from_args({"checkpoint": str(checkpoint), "spool": str(tmp_path), **args})


def test_build_application_refuses_the_database_of_another_version(
    checkpoint: Path, tmp_path: Path
) -> None:
    settings = ServerSettings(checkpoint=str(checkpoint), spool=tmp_path / "spool")
    make_old_database(settings.database_path)
    with pytest.raises(OtherVersionError, match=r"was written by exvad 0\.1, and this is exvad"):
        build_application(settings)
    assert not ray.is_initialized()


def test_serve_refuses_the_database_of_another_version_before_ray_starts(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_old_database(tmp_path / "spool" / "queue.sqlite")
    (tmp_path / "serve.yaml").write_text(f"spool: {tmp_path}/spool\n")
    arguments = ["--checkpoint", str(checkpoint), "--settings", str(tmp_path / "serve.yaml")]
    assert main(["serve", "--port", "0", *arguments]) == 2
    assert "was written by exvad 0.1, and this is exvad" in capsys.readouterr().err
    assert not ray.is_initialized()
