"""Ray's cluster launcher accepts cluster.yaml, and `--working-dir .` uploads only the project."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import ray
import yaml
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


def test_cluster_file_fits_the_schema_of_ray(cluster: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "max_worker": 3}, schema)


def test_launcher_of_ray_accepts_the_cluster_file(cluster: dict[str, Any]) -> None:
    filled = prepare_config(cluster)
    validate_config(filled)
    assert filled["max_workers"] == 12


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
