"""The notebooks in `examples/` and the Python of the pages: types, and notebooks that run."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

from exvad.config import load_config
from tests.helpers.notebooks import CELL_TIMEOUT, EXAMPLES, NOTEBOOKS, run_notebook

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
CODE_BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.M | re.S)
# Examples show what is usual: they skip the case of an answer without words, and the blocks of a
# page begin with what its text names.
UNCHECKED = ["no-untyped-call", "union-attr"]
UNCHECKED_ON_PAGES = [*UNCHECKED, "name-defined"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    nbformat.validate(notebook)
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def write_code(path: Path, code: str, unchecked: list[str]) -> Path:
    """Write Python with what mypy leaves unchecked in it; return the file."""
    comment = f'# mypy: allow-redefinition, disable-error-code="{",".join(unchecked)}"'
    path.write_text(f"{comment}\n{code}\n", "utf-8")
    return path


def code_of_notebook(path: Path) -> str:
    """The code of a notebook, without its texts."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def code_of_page(path: Path) -> str:
    """The Python blocks of a page, one after the other."""
    blocks = CODE_BLOCK.findall(path.read_text("utf-8"))
    return "\n".join(textwrap.dedent(block) for _, block in blocks)


@pytest.mark.parametrize("name", ["01_analyze_a_video", "03_query_the_server"])
def test_demo_of_a_notebook_has_settings_that_exist(name: str) -> None:
    tree = ast.parse(code_of_notebook(EXAMPLES / f"{name}.ipynb"))
    (settings,) = (
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == "DEMO_SETTINGS"
    )
    assert load_config("demo", settings).run == "runs/examples"


def test_python_of_notebooks_and_pages_fits_the_package(tmp_path: Path) -> None:
    files = [
        write_code(tmp_path / f"{path.stem}_notebook.py", code_of_notebook(path), UNCHECKED)
        for path in NOTEBOOKS
    ]
    for number, path in enumerate(PAGES):
        if code := code_of_page(path):
            file = tmp_path / f"{path.stem.lower()}_page{number}.py"
            files.append(write_code(file, code, UNCHECKED_ON_PAGES))
    assert len(files) > len(NOTEBOOKS) + 3
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
@pytest.mark.timeout(CELL_TIMEOUT)
def test_notebook_trains_on_features_from_top_to_bottom(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    path = tmp_path / "examples/02_train_on_features.ipynb"
    output = run_notebook(path, path.parent)
    for pattern in (r"frame AUC +0\.9\d", "mAP strict", r"model\.safetensors"):
        assert re.search(pattern, output, re.MULTILINE), pattern
