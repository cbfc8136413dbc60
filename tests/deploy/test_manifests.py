"""The manifests hold only fields that KubeRay's CRDs know, and name what the project has.

`kuberay-1.7.0-fields.json` is the tree of field names and types of the `ray.io/v1` CRDs of KubeRay
1.7.0, without their status; `$NAME` stands for a part that several places share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exvad.config import load_config
from exvad.serving.settings import ServerSettings

ROOT = Path(__file__).resolve().parents[2]
FIELDS = json.loads(Path(__file__).with_name("kuberay-1.7.0-fields.json").read_text())
PLAIN: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "number": (int, float),
}


def problems(value: Any, known: Any, place: str) -> Iterator[str]:
    """Say where a manifest has a field the CRD does not know, or a value of another type."""
    if isinstance(known, str) and known.startswith("$"):
        known = FIELDS["shared"][known[1:]]
    if isinstance(known, list):
        if not isinstance(value, list):
            yield f"{place} is no list"
            return
        for number, item in enumerate(value):
            yield from problems(item, known[0], f"{place}[{number}]")
    elif isinstance(known, dict):
        if not isinstance(value, dict):
            yield f"{place} is no mapping"
            return
        for name, item in value.items():
            if name in known or "*" in known:
                yield from problems(item, known.get(name, known.get("*")), f"{place}.{name}")
            else:
                yield f"{place}.{name} is unknown"
    elif known == "int-or-string":
        if not isinstance(value, int | str):
            yield f"{place} is no number or text"
    elif known != "any" and not isinstance(value, PLAIN[known]):
        yield f"{place} is no {known}"


def documents(name: str) -> dict[str, dict[str, Any]]:
    """Read a manifest: kind → document."""
    text = (ROOT / "deploy" / name).read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def manifest(name: str, kind: str) -> dict[str, Any]:
    return documents(name)[kind]


@pytest.mark.parametrize(
    ("name", "kind"), [("rayjob.yaml", "RayJob"), ("rayservice.yaml", "RayService")]
)
def test_every_field_is_one_of_the_crd(name: str, kind: str) -> None:
    document = manifest(name, kind)
    assert document["apiVersion"] == FIELDS["api"]
    assert list(problems(document["spec"], FIELDS["kinds"][kind]["spec"], "spec")) == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"entrypont": "python"}, "spec.entrypont is unknown"),
        ({"backoffLimit": "3"}, "spec.backoffLimit is no integer"),
        (
            {"rayClusterSpec": {"workerGroupSpecs": [{"template": {"spec": {"container": []}}}]}},
            "spec.rayClusterSpec.workerGroupSpecs[0].template.spec.container is unknown",
        ),
    ],
)
def test_a_wrong_field_would_be_found(wrong: dict[str, Any], complaint: str) -> None:
    assert list(problems(wrong, FIELDS["kinds"]["RayJob"]["spec"], "spec")) == [complaint]


def test_the_job_is_one_the_project_has_with_all_its_data_in_the_bucket() -> None:
    spec = manifest("rayjob.yaml", "RayJob")["spec"]
    python, script, flag, preset, *overrides = spec["entrypoint"].split()
    assert (python, flag) == ("python", "--preset")
    assert (ROOT / Path(script).relative_to("/home/ray/exvad")).is_file()
    config = load_config(preset, overrides)
    assert config.data.root.startswith("s3://")
    assert config.store_path.startswith("s3://")
    cluster = spec["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    for name, group in groups.items():
        pod = group["template"]["spec"]
        assert pod["nodeSelector"] == {"eks.amazonaws.com/capacityType": "SPOT"}
        limits = pod["containers"][0]["resources"]["limits"]
        assert ("nvidia.com/gpu" in limits) == (name == "gpu")


# Importing Ray's schema warns about Ray's own code.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_server_s_settings_are_ones_it_knows() -> None:
    from ray.serve.schema import ServeDeploySchema

    found = documents("rayservice.yaml")
    settings = ServerSettings.model_validate(
        yaml.safe_load(found["ConfigMap"]["data"]["serve.yaml"])
    )
    assert settings.api_keys is not None, "a server that others reach needs keys"
    spec = found["RayService"]["spec"]
    serving = ServeDeploySchema.model_validate(yaml.safe_load(spec["serveConfigV2"]))
    (application,) = serving.applications
    assert application.import_path == "serve.app:app"
    pod = spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    variable = application.runtime_env["env_vars"]["EXVAD_SERVE"]
    assert Path(variable).parent == Path(mounts["settings"])
    assert settings.api_keys.parent == Path(mounts["keys"])
    for folder in (settings.spool, Path(settings.checkpoint)):
        assert folder.is_relative_to(mounts["runs"])


def test_one_image_with_the_pinned_ray_runs_everywhere() -> None:
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert pinned is not None
    assert f"FROM rayproject/ray:{pinned[1]}-py311\n" in dockerfile
    clusters = [
        manifest("rayjob.yaml", "RayJob")["spec"]["rayClusterSpec"],
        manifest("rayservice.yaml", "RayService")["spec"]["rayClusterConfig"],
    ]
    images = {yaml.safe_load((ROOT / "cluster.yaml").read_text())["docker"]["image"]}
    for cluster in clusters:
        assert cluster["rayVersion"] == pinned[1]
        groups = [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", ())]
        images |= {group["template"]["spec"]["containers"][0]["image"] for group in groups}
    assert len(images) == 1


def test_the_image_installs_as_everyone_does() -> None:
    install = re.compile(r"-m pip install (?:--\S+ )*-c constraints\.txt -e '?\.")
    assert install.search((ROOT / "Makefile").read_text())
    assert install.search((ROOT / "deploy/Dockerfile").read_text())


def test_the_volume_is_the_one_that_is_mounted() -> None:
    claim = manifest("volume.yaml", "PersistentVolumeClaim")["metadata"]["name"]
    for name in ("rayjob.yaml", "rayservice.yaml"):
        assert f"claimName: {claim}\n" in (ROOT / "deploy" / name).read_text()
