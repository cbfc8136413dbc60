"""The notebooks in `examples/`: they are committed without outputs, and run from top to bottom."""

from __future__ import annotations

import json
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
    notebook = nbformat.read(path, as_version=4)
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
def test_analyze_notebook_shows_scores_events_and_explanation(checkout: Path) -> None:
    output = run_notebook(checkout / "examples/01_analyze_a_video.ipynb", checkout)
    assert "most likely class:" in output
    assert "true event:" in output
    assert "<polyline" in output
    assert "image/jpeg" in output
    assert "untrained: Barbecue" in output


@pytest.mark.slow
@pytest.mark.timeout(2 * CELL_TIMEOUT)
def test_train_notebook_reaches_a_high_auc(checkout: Path) -> None:
    output = run_notebook(checkout / "examples/02_train_on_features.ipynb", checkout / "examples")
    auc = float(output.split("frame AUC")[1].split()[0])
    assert auc > 0.9
    assert "mAP strict" in output
    assert "model.safetensors" in output


@pytest.mark.slow
@pytest.mark.timeout(2 * CELL_TIMEOUT)
def test_server_notebook_follows_an_analysis_and_stops_the_server(checkout: Path) -> None:
    output = run_notebook(checkout / "examples/03_query_the_server.ipynb", checkout / "examples")
    assert "the server is ready" in output
    for kind in ("progress", "scores", "done"):
        assert f"\n{kind} " in output
    assert "threshold: 0.5" in output
    assert "broken.mp4" in output
