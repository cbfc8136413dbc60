"""Manifests of videos that need not exist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest
from exvad.data.records import ManifestError, Split, Video

CLASSES = ("Normal", "Fighting", "Road accident")
CLASSES_LINE = "# classes: Normal, Fighting\n"
HEADER = "path,split,labels\n"


def make_video(name: str, label: str = "Normal", split: Split = "train", **fields: object) -> Video:
    """Return a video; `fields` replaces any of its fields."""
    return replace(Video(name, f"/videos/{name}.mp4", split, (label,)), **fields)  # type: ignore[arg-type]


def make_manifest(per_class: int = 10) -> Manifest:
    """Return a manifest with `per_class` training videos of each class and one test video."""
    videos = [make_video(f"{label}{i}", label) for label in CLASSES for i in range(per_class)]
    return Manifest(CLASSES, (*videos, make_video("unseen", "Fighting", "test")))


def manifest_problems(path: Path) -> list[str]:
    """Return the problems of a manifest file, without the path at their beginning."""
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    return [problem.removeprefix(str(path)) for problem in caught.value.problems]


def csv_problems(folder: Path, text: str | bytes) -> list[str]:
    """Write a CSV manifest and return its problems."""
    path = folder / "videos.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return manifest_problems(path)
