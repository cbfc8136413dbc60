"""The entry scripts at the top of the project are the verbs of the command."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest

from exvad.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob("jobs/*.py"), *ROOT.glob("tune/*.py")])


def test_the_scripts_are_those_that_clusters_start() -> None:
    names = {str(path.relative_to(ROOT)) for path in [*SCRIPTS, *ROOT.glob("serve/*.py")]}
    jobs = {
        f"jobs/{verb}.py"
        for verb in ("preprocess", "labels", "train", "evaluate", "ablate", "compare")
    }
    assert names == {*jobs, "tune/sweep.py", "serve/app.py"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_prints_the_help_of_its_verb(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(script.read_text().splitlines()) <= 12
    assert script.stem in VERBS
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    output = capsys.readouterr().out
    assert output.startswith(f"usage: exvad {script.stem} ")
    assert VERBS[script.stem].DESCRIPTION.split()[0] in output


def test_the_application_script_names_a_builder() -> None:
    tree = ast.parse((ROOT / "serve/app.py").read_text())
    (imported,) = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    assert imported.module == "exvad.serving.deployments.application"
    assert [(alias.name, alias.asname) for alias in imported.names] == [("from_args", "app")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_application_builder_takes_the_settings_of_the_server() -> None:
    app = runpy.run_path(str(ROOT / "serve/app.py"))["app"]
    with pytest.raises(ValueError, match="no setting 'nonsense'"):
        app({"nonsense": 1})
