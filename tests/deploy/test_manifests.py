"""The manifests have only fields of KubeRay's CRDs, and name files and settings that exist.

`kuberay-1.7.0-fields.json` is the tree of field names and types of the `ray.io/v1` CRDs of KubeRay
1.7.0, without their status. `$NAME` refers to a shared part.
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


def problems(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Yield the fields of a manifest that the CRD does not have or that have another type.

    Args:
        value: a part of the manifest.
        schema: the tree of its fields and types.
        path: where the part is in the manifest.
    """
    if isinstance(schema, str) and schema.startswith("$"):
        schema = FIELDS["shared"][schema[1:]]
    if isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for index, item in enumerate(value):
            yield from problems(item, schema[0], f"{path}[{index}]")
    elif isinstance(schema, dict):
        if not isinstance(value, dict):
            yield f"{path} is no mapping"
            return
        for name, item in value.items():
            if name in schema or "*" in schema:
                yield from problems(item, schema.get(name, schema.get("*")), f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif schema == "int-or-string":
        if not isinstance(value, int | str):
            yield f"{path} is no number or text"
    elif schema != "any" and not isinstance(value, PLAIN[schema]):
        yield f"{path} is no {schema}"


def documents(name: str) -> dict[str, dict[str, Any]]:
    """Return the documents of a manifest by kind."""
    text = (ROOT / "deploy" / name).read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def manifest(name: str, kind: str) -> dict[str, Any]:
    """Return the document of one kind."""
    return documents(name)[kind]


@pytest.mark.parametrize(
    ("name", "kind"), [("rayjob.yaml", "RayJob"), ("rayservice.yaml", "RayService")]
)
def test_every_field_is_in_the_crd(name: str, kind: str) -> None:
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
def test_wrong_field_is_found(wrong: dict[str, Any], complaint: str) -> None:
    assert list(problems(wrong, FIELDS["kinds"]["RayJob"]["spec"], "spec")) == [complaint]


def test_job_names_an_existing_script_and_data_in_the_bucket() -> None:
    spec = manifest("rayjob.yaml", "RayJob")["spec"]
    python, script, flag, preset, *overrides = spec["entrypoint"].split()
    assert (python, flag) == ("python", "--preset")
    assert (ROOT / Path(script).relative_to("/home/ray/exvad")).is_file()
    config = load_config(preset, overrides)
    assert config.data.root.startswith("s3://")
    assert config.store_path.startswith("s3://")
    cluster = spec["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    for group in cluster["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        assert pod["nodeSelector"] == {"eks.amazonaws.com/capacityType": "SPOT"}
        limits = pod["containers"][0]["resources"]["limits"]
        assert ("nvidia.com/gpu" in limits) == (group["groupName"] == "gpu")


# Importing Ray's schema warns about Ray's own code.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_service_uses_settings_that_the_server_has() -> None:
    from ray.serve.schema import ServeDeploySchema

    service = documents("rayservice.yaml")
    settings = ServerSettings.model_validate(
        yaml.safe_load(service["ConfigMap"]["data"]["serve.yaml"])
    )
    assert settings.api_keys is not None, "a server that other machines reach needs keys"
    spec = service["RayService"]["spec"]
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


def test_one_image_with_the_pinned_ray_is_used_everywhere() -> None:
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


def test_image_installs_the_package_as_the_makefile_does() -> None:
    install = re.compile(r"-m pip install (?:--\S+ )*-c constraints\.txt -e '?\.")
    assert install.search((ROOT / "Makefile").read_text())
    assert install.search((ROOT / "deploy/Dockerfile").read_text())


def test_mounted_volume_is_the_claimed_one() -> None:
    claim = manifest("volume.yaml", "PersistentVolumeClaim")["metadata"]["name"]
    for name in ("rayjob.yaml", "rayservice.yaml"):
        assert f"claimName: {claim}\n" in (ROOT / "deploy" / name).read_text()
