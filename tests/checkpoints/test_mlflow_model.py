"""A logged checkpoint is a model that MLflow itself can load, ask and describe."""

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
from tests.helpers.checkpoints import save

# Both warnings are about MLflow's own code: its queries, and type hints in a module it imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),
]


def test_mlflow_loads_what_was_logged_and_knows_what_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    mlflow.set_tracking_uri(None)
    checkpoint = save(tmp_path / "checkpoint", "model.text=none")
    experiment = mlflow.create_experiment("exvad", artifact_location=(tmp_path / "art").as_uri())
    with mlflow.start_run(experiment_id=experiment) as run:
        uri = log_checkpoint(checkpoint, "checkpoint", {"model.text": "none"})
    described = mlflow.models.get_model_info(uri).signature
    assert described.inputs.input_names() == ["video"]
    assert described.outputs.input_names() == ["video", "label", "score", "analysis"]
    folder = resolve_checkpoint(run.info.run_id, place)
    assert (folder / "model.safetensors").read_bytes() == (
        checkpoint / "model.safetensors"
    ).read_bytes()
    video = tmp_path / "robbery.mp4"
    render_video(Scene(4, "Robbery", 11, 12), video)
    model = mlflow.pyfunc.load_model(uri)
    (answer,) = model.predict(pd.DataFrame({"video": [str(video)]})).to_dict("records")
    analysis = json.loads(answer["analysis"])
    assert answer["label"] == analysis["label"]
    assert answer["score"] == analysis["anomaly_score"]
    assert analysis["scores"]
