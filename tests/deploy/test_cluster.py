"""Ray's launcher accepts the cluster files, and `--working-dir .` uploads only the project."""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import ray
import yaml
from packaging.requirements import Requirement
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).resolve().parents[2]
MAX_UPLOAD = 32 * 2**20  # bytes; Ray refuses more than 512 MiB


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    """The content of cluster.yaml."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def local_cluster() -> dict[str, Any]:
    """The content of deploy/cluster-local.yaml."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "deploy/cluster-local.yaml").read_text())
    return content


def schema_of_ray() -> dict[str, Any]:
    """Return the schema of cluster files that the installed Ray has."""
    path = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


def test_cluster_file_fits_the_schema_of_ray(cluster: dict[str, Any]) -> None:
    schema = schema_of_ray()
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "max_worker": 3}, schema)


def test_launcher_of_ray_accepts_the_cluster_file(cluster: dict[str, Any]) -> None:
    filled = prepare_config(copy.deepcopy(cluster))
    validate_config(filled)
    assert filled["max_workers"] == 12


def test_launcher_of_ray_accepts_the_file_of_a_few_machines(local_cluster: dict[str, Any]) -> None:
    jsonschema.validate(local_cluster, schema_of_ray())
    filled = prepare_config(copy.deepcopy(local_cluster))
    validate_config(filled)
    machines = len(local_cluster["provider"]["worker_ips"])
    (kind,) = filled["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == machines
    # Ray has defaults that install another version of itself.
    assert filled["setup_commands"] == local_cluster["setup_commands"]


def test_nodes_install_the_pinned_versions_and_what_the_head_needs_to_start_others(
    cluster: dict[str, Any], local_cluster: dict[str, Any]
) -> None:
    filled = prepare_config(copy.deepcopy(cluster))
    install = "cd /home/ray/exvad && python -m pip install --quiet -c constraints.txt -e '.[aws]'"
    assert filled["setup_commands"] == [install]
    assert filled["head_setup_commands"] == [install]
    gpu = cluster["available_node_types"]["gpu_worker"]
    assert install in gpu["worker_setup_commands"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (boto3,) = map(Requirement, extras["optional-dependencies"]["aws"])
    constraints = (ROOT / "constraints.txt").read_text()
    assert boto3.name == "boto3"
    assert re.search(r"^boto3==", constraints, re.M)
    for content in (cluster, local_cluster):
        assert content["file_mounts"]["/home/ray/exvad"] == "."
        assert content["rsync_filter"] == [".gitignore"]


def test_worker_without_a_usable_gpu_is_given_up(
    cluster: dict[str, Any], local_cluster: dict[str, Any]
) -> None:
    commands = cluster["available_node_types"]["gpu_worker"]["worker_setup_commands"]
    assert commands[0] == "nvidia-smi"
    for command in (commands[-1], local_cluster["setup_commands"][-1]):
        program = command.removeprefix("python -c ").strip('"')
        compile(program, "setup", "exec")
    checked = subprocess.run(
        commands[-1].replace("python", sys.executable, 1),
        shell=True, capture_output=True, text=True, check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert checked.returncode == 1
    assert "torch finds no GPU" in checked.stderr


def test_token_of_the_hub_and_weights_reach_every_node(
    cluster: dict[str, Any], local_cluster: dict[str, Any]
) -> None:
    for content in (cluster, local_cluster):
        (remote,) = [path for path in content["file_mounts"] if "huggingface" in path]
        assert content["file_mounts"][remote] == remote == "~/.cache/huggingface/token"
        options = content["docker"]["run_options"]
        home = remote.replace("~", "/home/ray")
        assert f"--env HF_TOKEN_PATH={home}" in options
        assert "--env HF_HOME=/mnt/exvad/models" in options
        assert "--volume /mnt/exvad:/mnt/exvad" in options
        assert any(
            "mountpoint -q /mnt/exvad" in line for line in content["initialization_commands"]
        )


def test_node_types_choose_image_group_subnet_and_role_themselves(cluster: dict[str, Any]) -> None:
    chosen = set()
    for name, kind in cluster["available_node_types"].items():
        node = kind["node_config"]
        profile = "exvad-head" if name == cluster["head_node_type"] else "exvad-worker"
        assert node["IamInstanceProfile"] == {"Name": profile}
        chosen.add((node["ImageId"], *node["SecurityGroupIds"], *node["SubnetIds"]))
    # Ray would replace an image that is not named like this by one of its own.
    assert len(chosen) == 1
    assert all(re.fullmatch(r"(ami|sg|subnet)-[0-9a-f]{17}", value) for value in chosen.pop())


def test_head_runs_no_tasks_and_spot_workers_scale_to_zero(cluster: dict[str, Any]) -> None:
    types = dict(cluster["available_node_types"])
    head = types.pop(cluster["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]
    assert {"GPU" in kind["resources"] for kind in types.values()} == {True, False}
    for kind in types.values():
        assert kind["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert kind["min_workers"] == 0 < kind["max_workers"]
    assert all(uri.startswith("s3://") for uri in cluster["metadata"].values())


def test_upload_of_a_submitted_job_holds_only_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES", raising=False)
    package = tmp_path / "package.zip"
    create_package(
        str(ROOT),
        package,
        include_gitignore=True,
        include_parent_dir=False,
        excludes=get_runtime_env_default_excludes(),
        logger=logging.getLogger("quiet"),
    )
    with zipfile.ZipFile(package) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    tops = {name.split("/")[0] for name in names}
    assert {"exvad", "jobs", "serve", "tune", "pyproject.toml"} <= tops
    unwanted = re.compile(r"\.git|\.venv.*|runs|site|build|dist|.*_cache|.*\.egg-info")
    assert [top for top in tops if unwanted.fullmatch(top)] == []
    assert [name for name in names if "__pycache__" in name] == []
    assert package.stat().st_size < MAX_UPLOAD
