"""A checkpoint: the folder that holds a trained detector and where it came from.

model.safetensors · config.yaml · labels.json · metrics.json · provenance.json. Nothing is pickled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import exvad
from exvad.config import Config, build_config, dump_config
from exvad.inference import Calibration
from exvad.laam import LabelPhrases
from exvad.modeling.exvad import ExVAD, build_exvad

if TYPE_CHECKING:
    import torch

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


def build_network(config: Config, width: int, num_classes: int) -> ExVAD:
    """Build the untrained network that a configuration describes."""
    model = config.model
    return build_exvad(
        width=width,
        num_classes=num_classes,
        window=model.window,
        layers=model.layers,
        max_snippets=model.max_snippets,
        fusion=model.fusion,
        text=model.text,
        label_prompt=model.label_prompt,
        label_adapter=model.label_adapter,
    )


def save_checkpoint(
    folder: Path,
    network: ExVAD,
    label_CD: torch.Tensor,
    labels: LabelPhrases,
    config: Config,
    calibration: Calibration,
    metrics: dict[str, Any],
    provenance: dict[str, Any],
) -> None:
    """Write a checkpoint; the folder appears, or is replaced, only once it is complete."""
    import hashlib

    from safetensors.torch import save

    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    weights = save({**tensors, LABEL_TENSOR: label_CD.cpu().contiguous()})
    signed = {
        "version": exvad.__version__,
        "commit": git_commit(),
        "weights": hashlib.sha256(weights).hexdigest(),
        **provenance,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir()
    (draft / MODEL).write_bytes(weights)
    (draft / CONFIG).write_text(dump_config(without_places(config)), encoding="utf-8")
    (draft / LABELS).write_text(labels.model_dump_json(indent=2) + "\n", encoding="utf-8")
    figures = {**metrics, "calibration": calibration.model_dump()}
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
