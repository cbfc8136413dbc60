"""Import features: features, text and label embeddings from elsewhere → a run, without encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exvad.config.counts import count_of
from exvad.data.dataset import run_manifest_path
from exvad.data.manifest_files import write_manifest
from exvad.laam.run_labels import import_labels, read_labels
from exvad.pipeline.preflight.places import require_places
from exvad.pipeline.progress.manifest import load_manifest_with_progress
from exvad.pipeline.progress.names import short_list
from exvad.pipeline.progress.terminal import console
from exvad.store.import_features import check_text, import_text, import_visual
from exvad.store.store import Store

if TYPE_CHECKING:
    from exvad.config import Config

NO_VIDEOS = "videos"  # where videos are taken to be that nobody will read


def import_into_run(
    config: Config, features: Path, text: Path | None = None, labels: Path | None = None
) -> int:
    """Import features that were computed elsewhere into a run.

    Args:
        config: the configuration of the run.
        features: folder of `<video>.npy` or `<video>__<crop>.npy`, each [T, D].
        text: `.npz` file or folder of `.npy` files with one [D] per video.
        labels: `.npz` file with [1 + m, D] per class.

    Returns:
        The exit code.

    Raises:
        ValueError: a file is missing or has another shape, or the run can't be written.
    """
    if not features.is_dir():
        raise ValueError(f"{features}: there is no such folder")
    for source in (text, labels):
        if source is not None and not source.exists():
            raise ValueError(f"{source}: there is no such file")
    require_places(config)
    manifest = load_manifest_with_progress(_without_videos(config))
    store = Store(config.store_path)
    unknown = [video.video_id for video in manifest.videos if video.timed_events and not video.fps]
    if unknown:
        raise ValueError(
            f"{unknown[0]} has events in seconds, and imported features have no frame rate: give "
            "the column fps in the manifest"
        )
    # Before anything is written: where one file is wrong, the run stays as it was.
    if text is not None:
        check_text(text, manifest, store)
    if labels is not None:
        read_labels(labels, manifest.classes)
    imported = import_visual(features, manifest, store, config.data.stride)
    write_manifest(manifest, run_manifest_path(config))
    console.print(
        f"features of {imported.videos} of {count_of(len(manifest.videos), 'video')}, "
        f"{imported.width} wide, {count_of(imported.crops, 'crop')}",
        highlight=False,
    )
    if imported.missing:
        console.print(
            f"without features: {short_list(imported.missing)}", highlight=False, soft_wrap=True
        )
    if text is not None:
        imported_text = import_text(text, manifest, store)
        console.print(
            f"text features of {count_of(imported_text.videos, 'video')}", highlight=False
        )
        missing = [video for video in imported_text.missing if video not in imported.missing]
        if missing:
            console.print(
                f"without text features: {short_list(missing)}; they are left out unless "
                "model.text=none",
                highlight=False,
                soft_wrap=True,
            )
    if labels is not None:
        import_labels(labels, manifest.classes, config)
        console.print(f"label embeddings are in {config.run}", highlight=False)
    return 0


def _without_videos(config: Config) -> Config:
    """Return the configuration with a root where official lists describe the videos without it."""
    if config.data.root or config.data.kind not in ("ucf_crime", "xd_violence"):
        return config
    return config.model_copy(
        update={"data": config.data.model_copy(update={"root": config.in_run(NO_VIDEOS)})}
    )
