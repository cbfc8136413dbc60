"""`serve deploy deploy/serve.yaml` on a cluster that runs, and a configuration that is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from exvad.client import Client
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from tests.helpers.checkpoints import save
from tests.helpers.cluster import ROOT, cluster, free_port

__all__ = ["cluster"]
SERVE = str(Path(sys.executable).with_name("serve"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def deployed(place: Path, config: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Deploy, and return how the application stands once it is decided."""
    place.write_text(yaml.safe_dump(config))
    asked = [SERVE, "deploy", "-a", environment["RAY_API_SERVER_ADDRESS"], str(place)]
    told = subprocess.run(
        asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    for _ in range(120):
        time.sleep(1)
        status = subprocess.run(
            [SERVE, "status", "-a", environment["RAY_API_SERVER_ADDRESS"]],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: dict[str, Any] = yaml.safe_load(status.stdout)["applications"]["exvad"]
        if found["status"] in ("RUNNING", "DEPLOY_FAILED"):
            return found
    raise AssertionError(json.dumps(found))


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    shipped: dict[str, Any] = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())
    shipped["http_options"]["port"] = free_port()
    shipped["applications"][0]["args"] |= {
        "checkpoint": str(save(tmp_path / "checkpoint")),
        "spool": str(tmp_path / "spool"),
    }
    return shipped


def test_the_shipped_configuration_serves_and_a_wrong_key_is_named(
    cluster: dict[str, str],
    config: dict[str, Any],
    tmp_path: Path,
) -> None:
    found = deployed(tmp_path / "serve.yaml", config, cluster)
    assert found["status"] == "RUNNING", found
    assert set(found["deployments"]) == {
        "Decoder", "Clip", "Captioner", "Explainer", "Analyst", "Front"
    }  # fmt: skip
    render_video(Scene(4, "Robbery", 11, 12), tmp_path / "clip.mp4")
    with Client(f"http://127.0.0.1:{config['http_options']['port']}", retries=8) as client:
        assert client.analyze(tmp_path / "clip.mp4", timeout=120).scores
    config["applications"][0]["args"]["replicas"] = 3
    refused = deployed(tmp_path / "wrong.yaml", config, cluster)
    assert refused["status"] == "DEPLOY_FAILED"
    assert "replicas" in refused["message"]
