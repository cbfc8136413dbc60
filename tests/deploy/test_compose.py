"""compose.yaml: its names, and its services run as processes without Docker."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import yaml
from mlflow.tracking import MlflowClient
from ray._common import utils as common_utils
from ray._private import utils as ray_utils
from ray._private.services import determine_plasma_store_config

from exvad.client import Client
from exvad.data.world import Scene, render_video
from exvad.serving.settings import ServerSettings
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.compose import Composition
from tests.helpers.kustomize import render
from tests.helpers.processes import ROOT

SECRETS = "deploy/base/secrets"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The content of compose.yaml."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return content


def sources(service: dict[str, Any]) -> dict[str, str]:
    """Return what a service mounts: path in the container → volume or file."""
    mounted = [entry.removesuffix(":ro") for entry in service.get("volumes", ())]
    return {entry.rpartition(":")[2]: entry.rpartition(":")[0] for entry in mounted}


def test_every_volume_file_and_service_that_is_named_exists(compose: dict[str, Any]) -> None:
    named = set()
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= compose["services"].keys()
        for source in sources(service).values():
            if source.startswith("./"):
                path = ROOT / source
                assert path.exists() or path.with_name(f"{path.name}.example").exists()
            elif not source.startswith("$"):
                named.add(source)
        for file in service.get("env_file", ()):
            assert (ROOT / f"{file}.example").exists()
    assert named == compose["volumes"].keys()


@pytest.mark.parametrize("gib", [8, 16, 31, 64, 512])
def test_object_store_of_a_large_machine_fits_into_the_shared_memory(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gib: int
) -> None:
    for service in ("server", "server-gpu", "job", "job-gpu"):
        size = compose["services"][service]["shm_size"]
        shared = int(size.removesuffix("gb")) * 2**30
        monkeypatch.setattr(ray_utils, "get_shared_memory_bytes", lambda shared=shared: shared)
        monkeypatch.setattr(common_utils, "get_system_memory", lambda: gib * 2**30)
        store = ray_utils.resolve_object_store_memory(gib * 2**30)
        folder, *_ = determine_plasma_store_config(store, str(tmp_path))
        assert folder == "/dev/shm", service


def test_server_with_and_without_gpu_are_profiles_that_only_this_machine_reaches(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    assert services["server"]["profiles"] == ["cpu"]
    assert services["server-gpu"]["profiles"] == ["gpu"]
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert ("deploy" in service) == name.endswith("-gpu")


@pytest.mark.parametrize("name", ["server", "server-gpu"])
def test_settings_of_the_server_lie_on_its_volumes(compose: dict[str, Any], name: str) -> None:
    mounted = sources(compose["services"][name])
    file = mounted["/etc/exvad/serve.yaml"]
    settings = ServerSettings.model_validate(yaml.safe_load((ROOT / file).read_text()))
    assert mounted[str(settings.api_keys)] == f"./{SECRETS}/keys"
    assert mounted[str(settings.spool)] == "spool"
    assert Path(settings.checkpoint).is_relative_to("/runs")
    parts = (settings.clip, settings.captioner, settings.explainer)
    assert (0 < sum(part.gpus or 0 for part in parts) <= 1) == (name == "server-gpu")


def test_mlflow_of_kubernetes_has_the_same_options(compose: dict[str, Any]) -> None:
    def plain(text: str) -> set[str]:
        options = re.sub(r"[$(){}\"]", "", text).split()
        return {option for option in options if option.startswith("--") and "hosts" not in option}

    (deployment,) = [
        thing
        for thing in render("minimal")
        if (thing["kind"], thing["metadata"]["name"]) == ("Deployment", "mlflow")
    ]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    command = compose["services"]["mlflow"]["command"][-1]
    assert plain(command) == plain(" ".join(container["args"]))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_services_run_as_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "key-of-the-test"
    database = {"POSTGRES_USER": "mlflow", "POSTGRES_DB": "mlflow", "POSTGRES_PASSWORD": "s3cret"}
    environments = {
        f"{SECRETS}/database.env": database,
        # The image sets the mode of authentication.
        f"{SECRETS}/models.env": {"HF_TOKEN": "unused", "RAY_AUTH_MODE": "token"},
    }
    keys = tmp_path / "keys"
    keys.write_text(f"submit {hashlib.sha256(key.encode()).hexdigest()}\n")
    with Composition(tmp_path, environments) as services:
        services.start_postgres()
        services.wait("postgres", 30)
        services.start("mlflow")
        services.wait("mlflow", 240)
        _check_mlflow(services, tmp_path, monkeypatch)
        save_untrained_checkpoint(tmp_path / "runs" / "ucf_crime" / "checkpoint")
        settings = tmp_path / "serve.yaml"
        text = (
            (ROOT / "deploy/compose/serve.yaml").read_text().replace("/etc/exvad/keys", str(keys))
        )
        settings.write_text(services.localize(text))
        services.start("server", {"/etc/exvad/serve.yaml": settings})
        services.wait("server", 240)
        url = f"http://127.0.0.1:{services.ports['server']}"
        assert httpx2.get(f"{url}/v1/models").status_code == 401
        render_video(Scene(4, "Robbery", 11, 12), tmp_path / "clip.mp4")
        with Client(url, key) as client:
            assert client.analyze(tmp_path / "clip.mp4", timeout=120).scores
    assert (tmp_path / "spool" / "queue.sqlite").exists()


def _check_mlflow(services: Composition, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log a run with an artifact, and find it in PostgreSQL and among the artifacts."""
    url = services.environment("server")["MLFLOW_TRACKING_URI"]
    hosts = {"mlflow:5000": 200, "elsewhere.example": 403}
    for host, status in hosts.items():
        answer = httpx2.get(
            f"{url}/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": host}
        )
        assert answer.status_code == status, host
    client = MlflowClient(tracking_uri=url)
    run = client.create_run(client.create_experiment("compose"))
    client.log_param(run.info.run_id, "answer", "42")
    (folder / "note.txt").write_text("kept")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    client.log_artifact(run.info.run_id, str(folder / "note.txt"))
    with psycopg.connect(services.database_url()) as connection:
        rows = connection.execute("select key, value from params").fetchall()
    assert rows == [("answer", "42")]
    assert [path.read_text() for path in (folder / "artifacts").rglob("note.txt")] == ["kept"]
