"""The files in the folder of a checkpoint."""

from __future__ import annotations

from pathlib import Path

MODEL, CONFIG, LABELS = "model.safetensors", "config.yaml", "labels.json"
METRICS, PROVENANCE = "metrics.json", "provenance.json"
FILES = (MODEL, CONFIG, LABELS, METRICS, PROVENANCE)  # the last one makes a checkpoint complete


class CheckpointError(ValueError):
    """A folder is not a complete checkpoint; the message names the folder and the problem."""


def require_complete(folder: Path) -> None:
    """Refuse a folder without all files of a checkpoint.

    Raises:
        CheckpointError: the folder does not exist or lacks a file.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        problem = "does not exist" if not folder.is_dir() else f"has no {', '.join(missing)}"
        raise CheckpointError(f"{folder} is no checkpoint: it {problem}; exvad train writes one")
