"""A checkpoint: the folder that holds a trained detector and where it came from.

model.safetensors · config.yaml · labels.json · metrics.json · provenance.json. Nothing is pickled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import exvad
from exvad.config import Config, build_config, dump_config
from exvad.inference.answers import compose_analysis
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.inference.prediction import Prediction, predict
from exvad.laam.phrases import LabelPhrases
from exvad.modeling.exvad import ExVAD
from exvad.store.examples import whole_example

if TYPE_CHECKING:
    import torch

    from exvad.results import Analysis
    from exvad.store.examples import Example
    from exvad.store.feature_bank import VideoFeatures

MODEL, CONFIG, LABELS = "model.safetensors", "config.yaml", "labels.json"
METRICS, PROVENANCE = "metrics.json", "provenance.json"
LABEL_TENSOR = "label_embeddings"


class CheckpointError(ValueError):
    """A folder is no checkpoint, or a damaged one: names it and says what is missing."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained detector.

    Args:
        network: the network with its weights.
        label_CD: label embeddings F_L, [C, D].
        labels: classes and phrases.
        config: the configuration it was trained with.
        calibration: branch and threshold chosen on validation.
        metrics: the figures it was chosen by.
        provenance: version, commit, data fingerprint, seed.
    """

    network: ExVAD
    label_CD: torch.Tensor
    labels: LabelPhrases
    config: Config
    calibration: Calibration
    metrics: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def name(self) -> str:
        """What answers are signed with: the version and the first letters of the weights' hash."""
        return f"exvad {self.provenance['version']} ({self.provenance['weights'][:8]})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the normal one first."""
        return self.labels.classes

    def predict(
        self, examples: Iterable[Example], max_snippets: int | None = None
    ) -> list[Prediction]:
        """Run the network over videos of any length.

        Args:
            examples: the videos; their targets are ignored.
            max_snippets: longest clip the network sees at once; None for the configured one.

        Returns:
            One prediction per video, in order.
        """
        model = self.config.model
        limit = max_snippets or model.max_snippets
        return predict(self.network, self.label_CD, examples, model.tau, limit)

    def analyze(
        self, features: VideoFeatures, video: str, problems: Sequence[str] = ()
    ) -> Analysis:
        """Return the answer about a video whose features are known.

        Args:
            features: of the video, with the text the network was trained on.
            video: the name of the video in the answer.
            problems: what could not be read.
        """
        (prediction,) = self.predict([whole_example(features)])
        return self.compose(features, prediction, video, problems)

    def compose(
        self,
        features: VideoFeatures,
        prediction: Prediction,
        video: str,
        problems: Sequence[str] = (),
    ) -> Analysis:
        """Return the answer that a prediction means; see `analyze`."""
        return compose_analysis(
            features,
            prediction,
            self.calibration,
            self.classes,
            video=video,
            model=self.name,
            problems=problems,
        )


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the folder appears, or is replaced, only once it is complete.

    Version, commit and the hash of the weights are added to its provenance.
    """
    import hashlib

    from safetensors.torch import save

    tensors = {
        name: tensor.cpu().contiguous() for name, tensor in checkpoint.network.state_dict().items()
    }
    weights = save({**tensors, LABEL_TENSOR: checkpoint.label_CD.cpu().contiguous()})
    signed = {
        "version": exvad.__version__,
        "commit": git_commit(),
        "weights": hashlib.sha256(weights).hexdigest(),
        **checkpoint.provenance,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir()
    (draft / MODEL).write_bytes(weights)
    (draft / CONFIG).write_text(dump_config(without_places(checkpoint.config)), encoding="utf-8")
    (draft / LABELS).write_text(
        checkpoint.labels.model_dump_json(indent=2) + "\n", encoding="utf-8"
    )
    figures = {**checkpoint.metrics, "calibration": checkpoint.calibration.model_dump()}
    (draft / METRICS).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (draft / PROVENANCE).write_text(json.dumps(signed, indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
        folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old)
    else:
        draft.rename(folder)


def load_checkpoint(folder: str | Path, device: str = "cpu") -> Checkpoint:
    """Load a checkpoint.

    Args:
        folder: the checkpoint's folder.
        device: where to put the network.

    Raises:
        CheckpointError: the folder does not exist or lacks a part.
    """
    import yaml
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    missing = [
        n for n in (MODEL, CONFIG, LABELS, METRICS, PROVENANCE) if not (folder / n).is_file()
    ]
    if missing:
        what = "does not exist" if not folder.is_dir() else f"has no {', '.join(missing)}"
        raise CheckpointError(f"{folder} is no checkpoint: it {what}")
    try:
        config = build_config(yaml.safe_load((folder / CONFIG).read_text("utf-8")), str(folder))
        labels = LabelPhrases.read(folder / LABELS)
        metrics = json.loads((folder / METRICS).read_text("utf-8"))
        provenance = json.loads((folder / PROVENANCE).read_text("utf-8"))
        calibration = Calibration.model_validate(metrics["calibration"])
        tensors = load((folder / MODEL).read_bytes())
        label_CD = tensors.pop(LABEL_TENSOR)
        network = build_network(config, label_CD.shape[1], label_CD.shape[0])
        network.load_state_dict(tensors)
    except (
        SafetensorError,
        ValidationError,
        KeyError,
        json.JSONDecodeError,
        yaml.YAMLError,
        RuntimeError,
    ) as error:
        raise CheckpointError(f"{folder} is damaged: {str(error).splitlines()[0]}") from error
    network = network.to(device).eval()
    return Checkpoint(
        network, label_CD.to(device), labels, config, calibration, metrics, provenance
    )


def without_places(config: Config) -> Config:
    """Return the configuration without the user's folders, which no checkpoint should tell."""
    data = config.data.model_copy(update={"root": "", "manifest": "", "annotations": ""})
    labels = config.labels.model_copy(update={"file": ""})
    mlflow = config.mlflow.model_copy(update={"uri": ""})
    update = {"run": "", "store": "", "data": data, "labels": labels, "mlflow": mlflow}
    return config.model_copy(update=update)


def git_commit() -> str | None:
    """Return the commit of the source tree, or None where it is no checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return None
    return answer.stdout.strip() or None
