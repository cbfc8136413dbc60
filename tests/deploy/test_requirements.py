"""exvad and its extras can be installed together."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project() -> dict[str, Any]:
    """The section `project` of pyproject.toml."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project: dict[str, Any] = content["project"]
    return project


def test_constraints_fulfil_the_requirements(project: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==", 1) for line in lines if "==" in line]
    pinned = {canonicalize_name(name): version for name, version in pairs}
    for text in project["dependencies"]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(pinned[name]), text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vllm_and_the_other_requirements_have_a_common_solution(
    project: dict[str, Any], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    wanted = [*project["dependencies"], *project["optional-dependencies"]["vllm"]]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    finished = subprocess.run(
        [*pip, "--report", str(report), *wanted],
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    unreachable = ("(from versions: none)", "ConnectionError", "Connection refused", "timed out")
    if any(sign in finished.stderr for sign in unreachable):
        pytest.skip(f"the package index can't answer: {finished.stderr.splitlines()[-1]}")
    assert finished.returncode == 0, finished.stderr[-3000:]
    metadata = [package["metadata"] for package in json.loads(report.read_text())["install"]]
    chosen = {canonicalize_name(package["name"]): package["version"] for package in metadata}
    for text in wanted:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(chosen[name]), text
