"""The overlays of deploy/, rendered by kubectl or kustomize with the templates of the secrets."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.processes import ROOT

OVERLAYS = ("minimal", "eks", "gke")


def copy_deploy(folder: Path, with_secrets: bool = True) -> Path:
    """Copy deploy/ into a folder, without secrets of this checkout.

    Args:
        folder: an empty folder.
        with_secrets: whether to take the templates of the secrets as secrets.

    Returns:
        The copy.
    """
    secret_files = shutil.ignore_patterns("keys", "database.env", "models.env")
    copy = Path(shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=secret_files))
    for template in (copy / "base" / "secrets").glob("*.example"):
        if with_secrets:
            shutil.copy(template, template.with_suffix(""))
    return copy


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Render a folder with a kustomization; skip the test without a program that can."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            return subprocess.run(
                [*command, str(folder)], capture_output=True, text=True, check=False, timeout=60
            )
    pytest.skip("neither kustomize nor kubectl is installed")


@cache
def render(overlay: str, component: str = "") -> tuple[dict[str, Any], ...]:
    """Return the objects of an overlay, with a component of deploy/components if one is named."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_deploy(Path(folder))
        if component:
            path = copy / "overlays" / overlay / "kustomization.yaml"
            content = yaml.safe_load(path.read_text())
            content["components"] = [f"../../components/{component}"]
            path.write_text(yaml.safe_dump(content))
        built = build(copy / "overlays" / overlay)
    assert built.returncode == 0, built.stderr
    return tuple(yaml.safe_load_all(built.stdout))


def pod_specs(value: Any, path: str = "") -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return the pods that an object describes: place, labels, specification."""
    found = []
    if isinstance(value, dict):
        pod = value.get("spec")
        if isinstance(pod, dict) and isinstance(pod.get("containers"), list):
            labels = (value.get("metadata") or {}).get("labels") or {}
            return [(path, labels, pod)]
        for name, part in value.items():
            found += pod_specs(part, f"{path}.{name}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            found += pod_specs(part, f"{path}[{index}]")
    return found
