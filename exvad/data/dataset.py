"""From configuration to manifest: which data set is meant, with its validation split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from exvad.config import Config


def load_manifest(config: Config, progress: Callable[[int, int], None] | None = None) -> Manifest:
    """Return the data set that `config.data` describes; the demo world is rendered if need be.

    Raises:
        ManifestError: the data set's description has errors.
        ValueError: a folder the kind of data set needs is not given.
    """
    data = config.data
    if data.kind == "manifest":
        if not data.manifest:
            raise ValueError("data.manifest is empty: give the path of a manifest (CSV or Parquet)")
        manifest = read_manifest(data.manifest)
    elif not data.root:
        raise ValueError(f"data.root is empty: give the folder of the {data.kind} videos")
    elif data.kind == "world":
        from exvad.data.world import render_world

        world = data.world
        manifest = render_world(
            data.root, world.train_videos, world.test_videos, world.seed, progress=progress
        )
    elif data.kind == "folder":
        from exvad.data.folders import folder_per_class

        manifest = folder_per_class(data.root, seed=data.split_seed)
    else:
        from exvad.data import benchmarks

        if not data.annotations:
            raise ValueError(
                f"data.annotations is empty: give the folder of {data.kind}'s official files"
            )
        importer = benchmarks.ucf_crime if data.kind == "ucf_crime" else benchmarks.xd_violence
        manifest = importer(data.root, data.annotations)
    return manifest.with_validation(data.validation, data.split_seed)


def saved_manifest(config: Config) -> Manifest:
    """Return the manifest that preprocessing left in the run's folder.

    Raises:
        ValueError: preprocessing has not been run.
    """
    path = Path(run_manifest(config))
    if not path.exists():
        raise ValueError(f"no manifest {path}: run `exvad preprocess` with the same run= first")
    return read_manifest(path)


def run_manifest(config: Config) -> str:
    """Return where a run keeps its manifest."""
    return str(config.run_path / "manifest.parquet")
