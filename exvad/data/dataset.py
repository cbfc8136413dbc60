"""The data set of a configuration: its manifest with a validation split."""

from __future__ import annotations

from collections.abc import Callable

from exvad.config import Config, DataConfig
from exvad.data.benchmarks import ucf_crime, xd_violence
from exvad.data.folders import folder_per_class
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest
from exvad.data.records import ManifestError
from exvad.data.storage.places import resolve_place
from exvad.data.world import render_world


def load_manifest(config: Config, progress: Callable[[int, int], None] | None = None) -> Manifest:
    """Return the data set that `config.data` describes; render the demo world if necessary.

    Args:
        config: `data` describes the data set.
        progress: called with the number of rendered videos and their total.

    Raises:
        ManifestError: the data set is invalid.
        ValueError: a setting that this kind of data set needs is empty.
    """
    manifest = _read_dataset(config.data, progress)
    return manifest.with_validation(config.data.validation, config.data.split_seed)


def read_run_manifest(config: Config) -> Manifest:
    """Return the manifest that preprocessing wrote into the run's folder.

    Raises:
        ValueError: there is none, because preprocessing has not run, or it is damaged.
    """
    location = run_manifest_path(config)
    if not resolve_place(location).exists():
        raise ValueError(f"no manifest {location}: run `exvad preprocess` with the same run= first")
    try:
        return read_manifest(location)
    except ManifestError as error:  # its advice is about a manifest of the user
        raise ValueError(f"{error.problems[0]}; `exvad preprocess` writes it again") from None


def run_manifest_path(config: Config) -> str:
    """Return the path or URI of a run's manifest."""
    return config.in_run("manifest.parquet")


def _read_dataset(data: DataConfig, progress: Callable[[int, int], None] | None) -> Manifest:
    if data.kind == "manifest":
        if not data.manifest:
            raise ValueError("data.manifest is empty: give the path of a manifest (CSV or Parquet)")
        return read_manifest(data.manifest)
    if not data.root:
        raise ValueError(f"data.root is empty: give the folder of the {data.kind} videos")
    if data.kind == "world":
        world = data.world
        return render_world(
            data.root, world.train_videos, world.test_videos, world.seed, progress=progress
        )
    if data.kind == "folder":
        return folder_per_class(data.root, seed=data.split_seed)
    if not data.annotations:
        raise ValueError(
            f"data.annotations is empty: give the folder of {data.kind}'s official files"
        )
    read_benchmark = ucf_crime if data.kind == "ucf_crime" else xd_violence
    return read_benchmark(data.root, data.annotations)
