"""A logged checkpoint is a model that MLflow itself can load, call and describe."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from exvad.checkpoints.mlflow_model import log_checkpoint
from exvad.checkpoints.registry import resolve_checkpoint
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from tests.helpers.checkpoints import save_untrained_checkpoint

# Both warnings come from MLflow: its database queries, and type hints of a module it imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),
]


def test_log_checkpoint_gives_a_model_that_mlflow_loads_and_describes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking_uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(None)  # this may unset the variable
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    checkpoint = save_untrained_checkpoint(tmp_path / "checkpoint", "model.text=none")
    experiment = mlflow.create_experiment("exvad", artifact_location=(tmp_path / "art").as_uri())
    with mlflow.start_run(experiment_id=experiment) as run:
        model_uri = log_checkpoint(checkpoint, "checkpoint", {"model.text": "none"})
    signature = mlflow.models.get_model_info(model_uri).signature
    assert signature.inputs.input_names() == ["video"]
    assert signature.outputs.input_names() == ["video", "label", "score", "analysis", "domain"]
    folder = resolve_checkpoint(run.info.run_id, tracking_uri)
    assert (folder / "model.safetensors").read_bytes() == (
        checkpoint / "model.safetensors"
    ).read_bytes()
    video = tmp_path / "robbery.mp4"
    render_video(Scene(4, "Robbery", 11, 12), video)
    model = mlflow.pyfunc.load_model(model_uri)
    (row,) = model.predict(pd.DataFrame({"video": [str(video)]})).to_dict("records")
    analysis = json.loads(row["analysis"])
    assert row["label"] == analysis["label"]
    assert row["score"] == analysis["anomaly_score"]
    assert analysis["scores"]
    assert row["domain"] == ""  # this checkpoint has no statistics of its training features
    # The same by the URI alone, where MLflow itself has no address.
    mlflow.set_tracking_uri(None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (resolve_checkpoint(run.info.run_id, tracking_uri) / "model.safetensors").exists()
    assert list(Path().iterdir()) == []
