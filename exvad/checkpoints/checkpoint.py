"""A checkpoint: the folder that holds a trained detector and its provenance.

model.safetensors · config.yaml · labels.json · metrics.json · provenance.json. Nothing is pickled.

C classes · D feature width
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from exvad.baselines.common.system import Baseline
from exvad.checkpoints.layout import (
    CONFIG,
    FILES,
    LABELS,
    METRICS,
    MODEL,
    PROVENANCE,
    CheckpointError,
    require_complete,
)
from exvad.checkpoints.provenance import (
    Provenance,
    check_hash,
    check_settings,
    stamp,
    without_local_paths,
)
from exvad.checkpoints.saved_system import COARSE_CLASS, SavedSystem
from exvad.config import Config, build_config, dump_config
from exvad.config.yaml_text import read_yaml
from exvad.data.storage.places import Place, resolve_place
from exvad.data.versions import OtherVersionError
from exvad.inference.answers import compose_analysis
from exvad.inference.calibration import Calibration
from exvad.inference.domain import Domain, check_domain, pop_domain
from exvad.inference.network import load_network
from exvad.inference.prediction import Prediction, predict
from exvad.inference.system_prediction import predict_system
from exvad.laam.phrases import LabelPhrases
from exvad.modeling.exvad import ExVAD
from exvad.store.examples import whole_example

if TYPE_CHECKING:
    import torch

    from exvad.results import Analysis
    from exvad.store.examples import Example
    from exvad.store.feature_bank import VideoFeatures

LABEL_TENSOR = "label_embeddings"
RESTORE = "restore it, or run `exvad train` again"


@dataclass(frozen=True)
class Checkpoint:
    """A trained detector.

    Args:
        network: the network with its weights.
        label_CD: label embeddings F_L, [C, D].
        labels: classes and phrases.
        config: the configuration it was trained with.
        calibration: branch and threshold, chosen on validation.
        metrics: the validation metrics it was selected by, and the training history.
        provenance: version, commit, data fingerprint, seed and hash of the weights.
        system: the system of the comparison that it holds; None for Ex-VAD's own network.
        domain: statistics of the features it was trained on; None if there are none.
    """

    network: ExVAD | Baseline
    label_CD: torch.Tensor
    labels: LabelPhrases
    config: Config
    calibration: Calibration
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    system: SavedSystem | None = None
    domain: Domain | None = None

    @property
    def name(self) -> str:
        """The model's name in analyses: the version and the first digits of the weights' hash."""
        version = f"exvad {self.provenance['version']} ({self.provenance['weights'][:8]})"
        return version if self.system is None else f"{self.system.title}, {version}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the normal one first; two for a system without classes."""
        if self.coarse:
            return (self.labels.classes[0], COARSE_CLASS)
        return self.labels.classes

    @property
    def coarse(self) -> bool:
        """Whether it says when something is abnormal, and not of which class."""
        return self.system is not None and self.system.coarse

    def predict(
        self, examples: Iterable[Example], max_snippets: int | None = None
    ) -> list[Prediction]:
        """Run the network over videos of any length.

        Args:
            examples: the videos; their targets are ignored.
            max_snippets: maximum snippets per forward pass of Ex-VAD's network; None for the
                configured number. Other systems take videos as their papers do.

        Returns:
            One prediction per video, in order.
        """
        if isinstance(self.network, Baseline):
            return predict_system(self.network, examples, self.coarse)
        model = self.config.model
        limit = max_snippets or model.max_snippets
        return predict(self.network, self.label_CD, examples, model.tau, limit)

    def analyze(
        self, features: VideoFeatures, video: str, problems: Sequence[str] = ()
    ) -> Analysis:
        """Analyze a video whose features are extracted.

        Args:
            features: features of the video, with the text that the network was trained with.
            video: name of the video in the analysis.
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
        """Compose the analysis of a video from its prediction; see `analyze`.

        The limits of a system that is not Ex-VAD are among the problems.
        """
        limits = [] if self.system is None else self.system.limits()
        return compose_analysis(
            features,
            prediction,
            self.calibration,
            self.classes,
            video=video,
            model=self.name,
            problems=[*problems, *limits],
            domain=check_domain(self.domain, features.visual, self.config.data.about),
        )


def save_checkpoint(folder: str | Path | Place, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the folder appears, or is replaced, only once it is complete.

    In a bucket, which has no folders, the provenance is written last: a checkpoint that is half
    replaced is refused by `load_checkpoint`. The current version of exvad, the commit and the hash
    of the weights become part of the provenance.

    Args:
        folder: the checkpoint's folder, a path or a URI.
        checkpoint: the trained detector.

    Raises:
        OSError: the folder can't be written; nothing is left of it, and an older one stays.
    """
    _save(folder, checkpoint)


@contextmanager
def saved_checkpoint(folder: str | Path | Place, checkpoint: Checkpoint) -> Iterator[Path]:
    """Write a checkpoint, and yield a local folder of it: itself, or a copy for the block.

    Args:
        folder: the checkpoint's folder, a path or a URI.
        checkpoint: the trained detector.

    Raises:
        OSError: see `save_checkpoint`.
    """
    place, files = _save(folder, checkpoint)
    if place.is_local:
        yield Path(place.path)
        return
    with tempfile.TemporaryDirectory(prefix="exvad-checkpoint-") as parent:
        copy = Path(parent) / "checkpoint"
        _write_folder(copy, files)
        yield copy


def _save(folder: str | Path | Place, checkpoint: Checkpoint) -> tuple[Place, dict[str, bytes]]:
    """Write a checkpoint; return where, and name → content of its files."""
    files = _checkpoint_files(checkpoint)
    place = folder if isinstance(folder, Place) else resolve_place(folder)
    if place.is_local:
        _write_folder(Path(place.path), files)
    else:
        for name in FILES:
            (place / name).write_bytes(files[name])
    return place, files


def _checkpoint_files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return name → content of the files of a checkpoint."""
    tensors = {
        name: tensor.cpu().contiguous() for name, tensor in checkpoint.network.state_dict().items()
    }
    # A copy: some systems hold the same tensor, and the format wants every tensor once.
    label_CD = checkpoint.label_CD.cpu().clone().contiguous()
    tensors[LABEL_TENSOR] = label_CD
    if checkpoint.domain is not None:
        tensors |= checkpoint.domain.to_tensors()
    weights, config = save_tensors(tensors), without_local_paths(checkpoint.config)
    labels = (checkpoint.labels.model_dump_json(indent=2) + "\n").encode()
    provenance = stamp(checkpoint.provenance, weights, labels, config, checkpoint.system)
    metrics = {**checkpoint.metrics, "calibration": checkpoint.calibration.model_dump()}
    return {
        MODEL: weights,
        LABELS: labels,
        CONFIG: dump_config(config).encode(),
        METRICS: f"{json.dumps(metrics, indent=2)}\n".encode(),
        PROVENANCE: f"{json.dumps(provenance, indent=2)}\n".encode(),
    }


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a new folder, then give it the name."""
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.mkdir(parents=True)
        for name, content in files.items():
            (draft / name).write_bytes(content)
    except BaseException as error:
        # What is half written would keep a full disk full.
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(folder)  # a write names no file, and nobody knows the draft
        raise
    if folder.exists():
        old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
        folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old)
    else:
        draft.rename(folder)


def trained_config(folder: str | Path) -> Config:
    """Return the configuration that a checkpoint was trained with, without loading the network.

    Args:
        folder: the checkpoint's folder.

    Raises:
        CheckpointError: the folder does not exist, lacks a file, or its configuration is damaged.
        OtherVersionError: a version of exvad with another format wrote it.
    """
    folder = Path(folder)
    require_complete(folder)
    try:
        return _read_config(folder, Provenance.read(folder))
    except OtherVersionError:
        raise
    except ValueError as error:
        raise _damaged(folder, str(error)) from error


def load_checkpoint(folder: str | Path, device: str = "cpu") -> Checkpoint:
    """Load a checkpoint.

    Args:
        folder: the checkpoint's folder.
        device: the device of the network.

    Raises:
        CheckpointError: the folder does not exist, lacks a file, or is damaged.
        OtherVersionError: a version of exvad with another format wrote it.
    """
    folder = Path(folder)
    require_complete(folder)
    try:
        provenance = Provenance.read(folder)
        config = _read_config(folder, provenance)
        metrics = _Metrics.model_validate_json((folder / METRICS).read_bytes())
        weights = (folder / MODEL).read_bytes()
        check_hash(MODEL, weights, provenance.weights)
        check_hash(LABELS, (folder / LABELS).read_bytes(), provenance.labels)
        labels = LabelPhrases.read(folder / LABELS)
        tensors = load_tensors(weights)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise CheckpointError(f"{MODEL} holds numbers that are not finite")
        domain, label_CD = pop_domain(tensors), tensors.pop(LABEL_TENSOR)
        network = _load_network(provenance.system, config, label_CD, labels, tensors)
        if len(label_CD) != len(labels.classes):
            raise CheckpointError(
                f"{LABELS} has {len(labels.classes)} classes, not {len(label_CD)}"
            )
    except OtherVersionError:
        raise
    except ValidationError as error:
        raise _damaged(folder, f"{error.title}: {error.errors()[0]['msg']}") from error
    # ValueError is that of YAML and the checks above.
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise _damaged(folder, str(error)) from error
    network = network.to(device).eval()
    return Checkpoint(
        network,
        label_CD.to(device),
        labels,
        config,
        metrics.calibration,
        metrics.model_dump(),
        provenance.model_dump(),
        provenance.system,
        domain,
    )


def _read_config(folder: Path, provenance: Provenance) -> Config:
    settings = read_yaml(folder / CONFIG)
    config = build_config(settings, CONFIG)
    check_settings(CONFIG, settings, provenance.settings)
    return config


def _damaged(folder: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{folder} is damaged: {' '.join(reason.split())}; {RESTORE}")


def _load_network(
    system: SavedSystem | None,
    config: Config,
    label_CD: torch.Tensor,
    labels: LabelPhrases,
    weights: Mapping[str, torch.Tensor],
) -> ExVAD | Baseline:
    if system is None:
        return load_network(config, label_CD, weights)
    network = system.build(config, label_CD, labels.classes)
    network.load_state_dict(weights)
    return network


class _Metrics(BaseModel):
    """What loading needs of metrics.json."""

    model_config = ConfigDict(extra="allow", title=METRICS)

    calibration: Calibration
