"""One image with the pinned Ray is used everywhere, and holds no secrets."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.helpers.kustomize import OVERLAYS, pod_specs, render

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
SECRETS = "deploy/base/secrets"


@cache
def pinned(package: str) -> str:
    """Return the version of a package in constraints.txt."""
    found = re.search(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert found is not None
    return found[1]


def compose() -> dict[str, Any]:
    """Return the content of compose.yaml."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return content


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_image_with_the_pinned_ray_is_used_everywhere(overlay: str) -> None:
    images = set()
    for thing in render(overlay):
        images |= {pod["containers"][0]["image"] for _, _, pod in pod_specs(thing)}
        if thing["kind"].startswith("Ray"):
            spec = thing["spec"]
            cluster = spec.get("rayClusterSpec") or spec["rayClusterConfig"]
            assert cluster["rayVersion"] == pinned("ray")
    database = compose()["services"]["postgres"]["image"]
    (image,) = images - {database}
    assert database in images
    assert image.endswith("/exvad:0.2.0")


def test_dockerfile_and_clusters_start_from_the_image_of_the_pinned_ray() -> None:
    image = f"rayproject/ray:{pinned('ray')}-py311"
    assert f"FROM {image} AS exvad\n" in DOCKERFILE
    for name in ("cluster.yaml", "deploy/cluster-local.yaml"):
        assert yaml.safe_load((ROOT / name).read_text())["docker"]["image"] == image


def test_image_installs_the_package_as_the_makefile_does() -> None:
    install = re.compile(r"-m pip install (?:--\S+ )*-c constraints\.txt -e '?\.")
    assert install.search((ROOT / "Makefile").read_text())
    assert install.search(DOCKERFILE)


def test_image_with_vllm_has_the_supported_versions() -> None:
    targets = re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.M)
    assert targets == ["exvad", "vllm"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = map(Requirement, project["optional-dependencies"]["vllm"])
    installed = re.search(r"vllm==(\S+) 'ray\[data\]==([\d.]+)'", DOCKERFILE)
    assert installed is not None
    assert wanted.specifier.contains(installed[1])
    # Both environments are one Ray cluster.
    assert installed[2] == pinned("ray")
    (folder,) = re.findall(r"RUN python -m venv (\S+)", DOCKERFILE)
    (vllm,) = [
        thing
        for thing in render("eks", "vllm")
        if (thing["kind"], thing["metadata"]["name"]) == ("Deployment", "vllm")
    ]
    ((_, _, pod),) = pod_specs(vllm)
    assert pod["containers"][0]["command"][0] == f"{folder}/bin/vllm"


def test_compose_builds_a_target_of_the_dockerfile() -> None:
    services = compose()["services"]
    for name, service in services.items():
        if name == "postgres":
            continue
        build = service["build"]
        assert (ROOT / build["dockerfile"]).is_file()
        assert f" AS {build['target']}\n" in DOCKERFILE


def test_secrets_come_neither_into_git_nor_into_the_image() -> None:
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    assert SECRETS in ignored
    names = [path.stem for path in (ROOT / SECRETS).glob("*.example")]
    assert sorted(names) == ["database.env", "keys", "models.env"]
    checked = subprocess.run(
        ["git", "check-ignore", *(f"{SECRETS}/{name}" for name in names)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "not a git repository" in checked.stderr:
        pytest.skip("this is no checkout of git")
    assert len(checked.stdout.splitlines()) == len(names)
