"""The notebooks in `examples/` and the Python of the pages: types, and notebooks that run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
CODE_BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.M | re.S)
# Examples show what is usual: they skip the case of an answer without words, and the blocks of a
# page begin with what its text names.
UNCHECKED = ["no-untyped-call", "union-attr"]
UNCHECKED_ON_PAGES = [*UNCHECKED, "name-defined"]
CELL_TIMEOUT = 900


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the notebooks, where they write their runs."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder


def run_notebook(path: Path, folder: Path) -> str:
    """Run a notebook in a working directory; return the texts and types of its outputs."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=resources
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(
        output["text"] if output["output_type"] == "stream" else str(dict(output["data"]))
        for output in outputs
    )


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
@pytest.mark.timeout(2 * CELL_TIMEOUT)
@pytest.mark.parametrize(
    ("name", "start", "patterns"),
    [
        (
            "01_analyze_a_video",
            ".",
            ["most likely class:", "true event:", "<polyline", "image/jpeg", "untrained: Barbecue"],
        ),
        (
            "02_train_on_features",
            "examples",
            [r"frame AUC +0\.9\d", "mAP strict", r"model\.safetensors"],
        ),
        (
            "03_query_the_server",
            "examples",
            [
                "the server is ready",
                "^progress ",
                "^scores ",
                "^done ",
                r"threshold: 0\.5",
                r"broken\.mp4",
            ],
        ),
    ],
)
def test_notebook_runs_from_top_to_bottom(
    checkout: Path, name: str, start: str, patterns: list[str]
) -> None:
    output = run_notebook(checkout / f"examples/{name}.ipynb", checkout / start)
    for pattern in patterns:
        assert re.search(pattern, output, re.MULTILINE), pattern
