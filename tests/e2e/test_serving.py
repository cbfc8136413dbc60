"""`serve run serve.app:app` for real: Ray Serve, HTTP, the shipped models, and kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from exvad.client import Client, ServerError
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from tests.helpers.checkpoints import save
from tests.helpers.processes import stop

ROOT = Path(__file__).resolve().parents[2]
SERVE = str(Path(sys.executable).with_name("serve"))
ADDRESS = "http://127.0.0.1:8000"


def ask(path: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(ADDRESS + path, body), timeout=120) as reply:
        return json.loads(reply.read())


def start(folder: Path, **more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "EXVAD_SERVE": str(folder / "serve.yaml"), **more}
    environment.pop("RAY_ADDRESS", None)
    # A cluster that runs here, or a note of one that died, is none of this test's business.
    environment["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray")
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [SERVE, "run", "--app-dir", str(ROOT), "serve.app:app"],
            cwd=folder,
            env=environment,
            start_new_session=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    for _ in range(120):
        try:
            ask("/healthz")
        except OSError:
            assert process.poll() is None, (folder / "serve.log").read_text()[-3000:]
            time.sleep(1)
        else:
            return process
    raise AssertionError((folder / "serve.log").read_text()[-3000:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            pytest.skip("port 8000 is taken")
    folder = tmp_path_factory.mktemp("serve")
    save(folder / "checkpoint")
    for number in range(4):
        render_video(Scene(number, "Robbery", 11, 12), folder / f"{number}.mp4")
    (folder / "serve.yaml").write_text(
        f"checkpoint: {folder}/checkpoint\nspool: {folder}/spool\nlease_seconds: 3\n"
    )
    return folder


def alike(scores: list[float]) -> Any:
    """Scores of the same video: pictures encoded in other company may differ in the last bit."""
    return pytest.approx(scores, abs=2e-3)


def member(process: subprocess.Popen[bytes], kind: str) -> psutil.Process:
    """Return the process of a replica, of the proxy or of the controller."""
    for _ in range(60):
        for each in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # one that is just going
                if kind in " ".join(each.cmdline()):
                    return each
        time.sleep(0.5)
    raise AssertionError(f"there is no {kind}")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_accepted_videos_survive_the_death_of_a_replica_and_of_everything(folder: Path) -> None:
    process = start(folder)
    videos = [(folder / f"{number}.mp4").read_bytes() for number in range(4)]
    first = ask("/v1/analyses?wait=60&name=0.mp4", videos[0])
    assert first["state"] == "done"
    assert first["result"]["explanation"]["category"] == "Robbery"

    with Client(ADDRESS) as client:
        heard = [told.data["text"] for told in client.follow(first["id"]) if told.kind == "writing"]
    whole = first["result"]["explanation"]
    assert heard
    assert all(f"{whole['summary']} {whole['reason']}".startswith(text) for text in heard)

    numbers = [ask("/v1/analyses", video)["id"] for video in videos]
    member(process, "Analyst").kill()
    numbers += [ask("/v1/analyses", video)["id"] for video in videos]
    stop(process, gently=False)

    process = start(folder)
    try:
        until = time.monotonic() + 120
        while ask("/healthz")["waiting"] and time.monotonic() < until:
            time.sleep(0.5)
        found = [ask(f"/v1/analyses/{number}") for number in numbers]
        assert [each["state"] for each in found] == ["done"] * len(numbers)
        assert ask("/v1/analyses")["total"] == len(numbers) + 1
        assert found[0]["result"]["scores"] == alike(first["result"]["scores"])
    finally:
        stop(process)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whichever_process_dies_every_accepted_video_is_answered_once(folder: Path) -> None:
    process = start(folder)
    accepted: list[str] = []
    try:
        with Client(ADDRESS, retries=8) as client:
            known = client.analyze(folder / "0.mp4", timeout=120)
            before = ask("/v1/analyses")["total"]
            for kind in ("Decoder", "Clip", "Captioner", "Explainer", "Analyst", "Front",
                         "ProxyActor", "ServeController"):  # fmt: skip
                accepted += [client.submit(folder / "0.mp4").id for _ in range(2)]
                member(process, kind).kill()
                accepted.append(submitted(client, folder / "0.mp4"))
            found = [client.wait(number, timeout=120) for number in accepted]
        assert [each.state for each in found] == ["done"] * len(accepted)
        assert ask("/v1/analyses")["total"] == before + len(accepted)
        for each in found:
            assert each.result is not None
            assert each.result.scores == alike(known.scores)
    finally:
        stop(process)


def registered(folder: Path, uri: str, version: int) -> None:
    """Put a checkpoint into the registry, and let the alias stand for it."""
    client = MlflowClient(uri)
    if version == 1:
        client.create_registered_model("exvad")
    client.create_model_version("exvad", str(folder))
    client.set_registered_model_alias("exvad", "champion", str(version))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own
def test_a_new_champion_takes_over_under_load_and_nothing_is_lost(
    folder: Path, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    registered(folder / "checkpoint", uri, 1)
    (tmp_path / "serve.yaml").write_text(
        f"checkpoint: models:/exvad@champion\nspool: {tmp_path}/spool\nreload_seconds: 1\n"
    )
    process = start(tmp_path, MLFLOW_TRACKING_URI=uri)
    accepted: list[str] = []
    enough = threading.Event()

    def submit() -> None:
        with Client(ADDRESS) as client:
            while not enough.is_set():
                accepted.append(client.submit(folder / "0.mp4").id)
                enough.wait(0.4)

    try:
        with Client(ADDRESS) as client:
            before = client.analyze(folder / "0.mp4", timeout=120).model
            load = threading.Thread(target=submit)
            load.start()
            registered(save(tmp_path / "next", "model.fusion=gated"), uri, 2)
            for _ in range(60):
                (model,) = ask("/v1/models")["items"]
                if model["model"] != before:
                    break
                time.sleep(0.5)
            time.sleep(3)
            enough.set()
            load.join()
            found = [client.wait(number, timeout=120) for number in accepted]
            after = client.analyze(folder / "0.mp4").model
        assert model["problem"] is None
        assert after == model["model"] != before
        assert [each.state for each in found] == ["done"] * len(accepted)
        signed = [each.result.model for each in found if each.result]
        assert signed == sorted(signed, key=lambda name: name != before), "each by one of the two"
        assert {before, after} == set(signed)
        assert ask("/v1/analyses")["total"] == len(accepted) + 2
    finally:
        enough.set()
        stop(process)


def submitted(client: Client, video: Path) -> str:
    """Submit a video to a server whose front is just dying: not accepted is said, and repeated."""
    for _ in range(60):
        try:
            return client.submit(video).id
        except (ConnectionError, ServerError):
            time.sleep(1)
    raise AssertionError("the server does not come back")
