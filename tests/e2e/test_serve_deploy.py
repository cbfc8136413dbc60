"""`serve deploy deploy/serve.yaml` on a running cluster, and a configuration that is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from exvad.client import Client
from exvad.data.world import Scene, render_video
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.cluster import RAY, cluster, node_with_its_own_disk
from tests.helpers.processes import ROOT, free_port
from tests.helpers.waiting import holds_within

__all__ = ["cluster"]
SERVE = str(Path(sys.executable).with_name("serve"))
DEPLOY_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def run_serve(environment: dict[str, str], verb: str, *arguments: str) -> str:
    """Run a command of Ray Serve on the cluster; return its output."""
    address = environment["RAY_API_SERVER_ADDRESS"]
    completed = subprocess.run(
        [SERVE, verb, "-a", address, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def deploy(path: Path, config: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Deploy a configuration; return the status of the application once it runs or has failed."""
    path.write_text(yaml.safe_dump(config))
    run_serve(environment, "deploy", str(path))
    for _ in range(DEPLOY_SECONDS):
        time.sleep(1)
        applications = yaml.safe_load(run_serve(environment, "status"))["applications"]
        status: dict[str, Any] = applications["exvad"]
        if status["status"] in ("RUNNING", "DEPLOY_FAILED"):
            return status
    raise AssertionError(json.dumps(status))


def count_nodes(environment: dict[str, str]) -> int:
    """Return the number of nodes of the cluster."""
    status = subprocess.run(
        [RAY, "status", "--address", environment["CLUSTER"]],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return len(re.findall(r"^ 1 node_", status.stdout, re.MULTILINE))


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """The shipped configuration with a checkpoint, a spool and a port of the test."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())
    config["http_options"]["port"] = free_port()
    config["applications"][0]["args"] |= {
        "checkpoint": str(save_untrained_checkpoint(tmp_path / "checkpoint")),
        "spool": str(tmp_path / "spool"),
    }
    return config


def test_shipped_configuration_serves_and_an_unknown_setting_is_named(
    cluster: dict[str, str],
    config: dict[str, Any],
    tmp_path: Path,
) -> None:
    # Replicas that were spread over both nodes would have two queues.
    with node_with_its_own_disk(cluster["CLUSTER"], tmp_path / "spool", cluster):
        assert holds_within(90, lambda: count_nodes(cluster) == 2)
        status = deploy(tmp_path / "serve.yaml", config, cluster)
        assert status["status"] == "RUNNING", status
        assert set(status["deployments"]) == {
            "Decoder", "Clip", "Captioner", "Explainer", "Analyst", "Front"
        }  # fmt: skip
        render_video(Scene(4, "Robbery", 11, 12), tmp_path / "clip.mp4")
        with Client(f"http://127.0.0.1:{config['http_options']['port']}", retries=8) as client:
            assert client.analyze(tmp_path / "clip.mp4", timeout=120).scores
    config["applications"][0]["args"]["replicas"] = 3
    refused = deploy(tmp_path / "wrong.yaml", config, cluster)
    assert refused["status"] == "DEPLOY_FAILED"
    assert "replicas" in refused["message"]
