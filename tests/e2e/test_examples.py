"""The notebooks in `examples/`: they are committed without outputs, and run from top to bottom."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
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
