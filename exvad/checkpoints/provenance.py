"""Where a checkpoint comes from: version, commit and data, and the hashes of what was trained."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

import exvad
from exvad.aegm.prompts import with_prompt_text
from exvad.checkpoints.layout import PROVENANCE, CheckpointError
from exvad.checkpoints.saved_system import SavedSystem
from exvad.data.versions import OtherVersionError, same_series

if TYPE_CHECKING:
    from exvad.config import Config


class Provenance(BaseModel):
    """What loading needs of provenance.json, which holds more.

    Args:
        version: the version of exvad that wrote the checkpoint.
        weights: SHA-256 of the weights.
        labels: SHA-256 of the label phrases.
        settings: the number of settings in the configuration; 0 if that is not known.
        system: the system of the comparison that it holds; None for Ex-VAD's own network.
    """

    model_config = ConfigDict(extra="allow", title=PROVENANCE)

    version: str
    weights: str
    labels: str
    settings: int = 0
    system: SavedSystem | None = None

    @classmethod
    def read(cls, folder: Path) -> Provenance:
        """Read the provenance of a checkpoint.

        Args:
            folder: the checkpoint's folder.

        Raises:
            OtherVersionError: a version of exvad with another format wrote the checkpoint.
            ValidationError: the file is damaged.
        """
        provenance = cls.model_validate_json((folder / PROVENANCE).read_bytes())
        if not same_series(provenance.version):
            raise OtherVersionError(
                f"the checkpoint {folder}",
                provenance.version,
                f"train again with this version, or load it with exvad {provenance.version}",
            )
        return provenance


def stamp(
    provenance: Mapping[str, Any],
    weights: bytes,
    labels: bytes,
    config: Config,
    system: SavedSystem | None,
) -> dict[str, Any]:
    """Return a provenance with version and commit, and what tells later whether files are whole.

    Args:
        provenance: what is known of the training.
        weights: content of the file of the weights.
        labels: content of the file of the label phrases.
        config: the configuration as it is written.
        system: the system of the comparison; None for Ex-VAD's own network.
    """
    stamped = {
        **provenance,
        "version": exvad.__version__,
        "commit": git_commit(),
        "weights": hashlib.sha256(weights).hexdigest(),
        "labels": hashlib.sha256(labels).hexdigest(),
        "settings": count_settings(config.model_dump(by_alias=True)),
    }
    return stamped if system is None else {**stamped, "system": system.model_dump()}


def check_hash(name: str, content: bytes, expected: str) -> None:
    """Refuse a file that changed after training; a network with other weights would answer too.

    Args:
        name: name of the file.
        content: its content.
        expected: the hash in the provenance.

    Raises:
        CheckpointError: the content has another hash.
    """
    if hashlib.sha256(content).hexdigest() != expected:
        raise CheckpointError(f"{name} is not the file that training wrote")


def check_settings(name: str, settings: Any, expected: int) -> None:
    """Refuse a file of settings that was cut off: defaults would take the place of the rest.

    Settings that were changed by hand are not refused.

    Args:
        name: name of the file.
        settings: its content.
        expected: the number of settings that training wrote; 0 if that is not known.

    Raises:
        CheckpointError: it has fewer.
    """
    if (count := count_settings(settings)) < expected:
        raise CheckpointError(f"{name} has {count} of {expected} settings")


def count_settings(settings: Any) -> int:
    """Return the number of settings of nested sections; a list or an empty section is one."""
    if isinstance(settings, dict) and settings:
        return sum(map(count_settings, settings.values()))
    return 1


def without_local_paths(config: Config) -> Config:
    """Return a configuration without the user's folders, which stay private.

    A checkpoint explains on other machines too, so it has the text of the prompt, not its path. A
    file that is gone by now stays named.
    """
    with contextlib.suppress(ValueError, OSError):
        config = with_prompt_text(config)
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
