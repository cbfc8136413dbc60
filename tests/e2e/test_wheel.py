"""The wheel installs `exvad` with its data files only, and works outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

from exvad.cli.main import VERBS
from exvad.config import load_config

ROOT = Path(__file__).resolve().parents[2]
NOT_PROJECT = (".*", "runs", "site", "build", "dist", "*.egg-info", "__pycache__")
SMALL = ("data.world.train_videos=28", "data.world.test_videos=14", "train.epochs=2")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the project."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "project", ignore=shutil.ignore_patterns(*NOT_PROJECT))
    built = subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation",
            "--disable-pip-version-check", "-w", str(folder / "dist"),
        ],
        cwd=folder / "project",
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the content of the wheel."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_python(
    unpacked: Path, folder: Path, *arguments: str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder with the unpacked wheel before everything else that is installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_wheel_holds_the_package_with_all_its_files_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        (top_level,) = (name for name in names if name.endswith(".dist-info/top_level.txt"))
        assert archive.read(top_level).decode().split() == ["exvad"]
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        assert "exvad = exvad.cli.main:main" in archive.read(entry_points).decode()
    info = top_level.split("/")[0]
    assert {name.split("/")[0] for name in names} == {"exvad", info}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "exvad").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("exvad/")} == source
    for needed in (
        "exvad/py.typed",
        "exvad/assets/presets/demo.yaml",
        "exvad/assets/search_space.yaml",
        "exvad/assets/paper/quoted.yaml",
        "exvad/assets/prompts/explanation.txt",
        "exvad/assets/labels/ucf_crime.json",
        "exvad/serving/page/index.html",
    ):
        assert needed in source
    assert any(name.startswith("exvad/report/templates/") for name in source)
    assert any(name.startswith("exvad/assets/weights/") for name in source)


def test_wheel_names_its_licence_and_the_readme(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        headers = Parser().parsestr(archive.read(metadata).decode())
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert headers["License-Expression"] == "Apache-2.0"
    assert str(headers.get_payload()).strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_unpacked_wheel_answers_outside_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    where = run_python(unpacked, tmp_path, "-c", "import exvad; print(exvad.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(unpacked)
    shown = run_python(unpacked, tmp_path, "-m", "exvad.cli", "--help")
    assert shown.returncode == 0, shown.stderr
    assert all(verb in shown.stdout for verb in VERBS)
    config = run_python(unpacked, tmp_path, "-m", "exvad.cli", "config", "show")
    assert config.returncode == 0, config.stderr
    assert yaml.safe_load(config.stdout) == load_config("demo").model_dump(by_alias=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_unpacked_wheel_runs_the_demo_and_analyzes_outside_the_checkout(
    unpacked: Path, tmp_path: Path
) -> None:
    demo = run_python(unpacked, tmp_path, "-m", "exvad.cli", "demo", *SMALL, timeout=400)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert (tmp_path / "runs/demo/report.html").exists()
    video = "runs/demo/videos/seed0/test0000.mp4"
    analyzed = run_python(unpacked, tmp_path, "-m", "exvad.cli", "analyze", video, timeout=90)
    assert analyzed.returncode == 0, analyzed.stderr
    assert "test0000.mp4" in analyzed.stdout
