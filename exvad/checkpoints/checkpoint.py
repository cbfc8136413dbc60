"""A checkpoint: the folder that holds a trained detector and its provenance.

model.safetensors · config.yaml · labels.json · metrics.json · provenance.json. Nothing is pickled.

C classes · D feature width
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
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

import exvad
from exvad.baselines.common.system import Baseline
from exvad.checkpoints.integrity import check_hash, check_settings, count_settings
from exvad.checkpoints.systems import COARSE_CLASS, SavedSystem
from exvad.config import Config, build_config, dump_config
from exvad.config.yaml_text import read_yaml
from exvad.data.atomic import write_bytes_atomic
from exvad.data.storage.places import Place, resolve_place
from exvad.data.versions import OtherVersionError, same_series
from exvad.inference.answers import compose_analysis
from exvad.inference.calibration import Calibration
from exvad.inference.domain import Domain, check_domain, pop_domain
from exvad.inference.network import load_network
from exvad.inference.prediction import Prediction, predict
from exvad.inference.systems import predict_system
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
FILES = (MODEL, CONFIG, LABELS, METRICS, PROVENANCE)  # the last one makes a checkpoint complete
LABEL_TENSOR = "label_embeddings"
RESTORE = "restore it, or run `exvad train` again"


class CheckpointError(ValueError):
    """A folder is not a complete checkpoint; the message names the folder and the problem."""


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
                configured number. Other systems take videos as they were published to.

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
    files, place = _checkpoint_files(checkpoint), _as_place(folder)
    if place.is_local:
        _write_folder(Path(place.path), files)
        return
    for name in FILES:
        (place / name).write_bytes(files[name])


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
    provenance = {
        **checkpoint.provenance,
        "version": exvad.__version__,
        "commit": git_commit(),
        "weights": hashlib.sha256(weights).hexdigest(),
        "labels": hashlib.sha256(labels).hexdigest(),
        "settings": count_settings(config.model_dump(by_alias=True)),
    }
    if checkpoint.system is not None:
        provenance["system"] = checkpoint.system.model_dump()
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


@contextmanager
def local_checkpoint(folder: str | Path | Place) -> Iterator[Path]:
    """Yield a checkpoint as a local folder: itself, or a copy that is deleted after the block.

    Args:
        folder: the checkpoint's folder, a path or a URI.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    place = _as_place(folder)
    if place.is_local:
        yield Path(place.path)
        return
    with tempfile.TemporaryDirectory(prefix="exvad-checkpoint-") as copy:
        download_checkpoint(place, Path(copy))
        yield Path(copy)


def download_checkpoint(place: Place, folder: Path) -> None:
    """Copy a checkpoint into an empty local folder.

    Args:
        place: the checkpoint's folder.
        folder: the local folder.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    for name in FILES:
        try:
            write_bytes_atomic(folder / name, (place / name).read_bytes())
        except FileNotFoundError:
            raise CheckpointError(
                f"{place} is no checkpoint: it has no {name}; exvad train writes one"
            ) from None


def _as_place(folder: str | Path | Place) -> Place:
    return folder if isinstance(folder, Place) else resolve_place(folder)


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
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        problem = "does not exist" if not folder.is_dir() else f"has no {', '.join(missing)}"
        raise CheckpointError(f"{folder} is no checkpoint: it {problem}; exvad train writes one")
    try:
        provenance = _Provenance.model_validate_json((folder / PROVENANCE).read_bytes())
        _refuse_other_version(folder, provenance.version)
        settings = read_yaml(folder / CONFIG)
        config = build_config(settings, CONFIG)
        check_settings(CONFIG, settings, provenance.settings)
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
        reason = f"{error.title}: {error.errors()[0]['msg']}"
        raise CheckpointError(f"{folder} is damaged: {reason}; {RESTORE}") from error
    # ValueError is that of YAML and the checks above.
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{folder} is damaged: {reason}; {RESTORE}") from error
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


class _Provenance(BaseModel):
    """What loading needs of provenance.json."""

    model_config = ConfigDict(extra="allow", title=PROVENANCE)

    version: str
    weights: str
    labels: str
    settings: int = 0
    system: SavedSystem | None = None


class _Metrics(BaseModel):
    """What loading needs of metrics.json."""

    model_config = ConfigDict(extra="allow", title=METRICS)

    calibration: Calibration


def _refuse_other_version(folder: Path, version: str) -> None:
    if not same_series(version):
        raise OtherVersionError(
            f"the checkpoint {folder}",
            version,
            f"train again with this version, or load it with exvad {version}",
        )


def without_local_paths(config: Config) -> Config:
    """Return a configuration without the user's folders, which stay private."""
    data = config.data.model_copy(update={"root": "", "manifest": "", "annotations": ""})
    labels = config.labels.model_copy(update={"file": ""})
    mlflow = config.mlflow.model_copy(update={"uri": ""})
    update = {"run": "", "store": "", "data": data, "labels": labels, "mlflow": mlflow}
    return config.model_copy(update=update)


def git_commit() -> str | None:
    """Return the commit of the source tree; None if it is no git checkout."""
    try:
        completed = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return None
    return completed.stdout.strip() or None
