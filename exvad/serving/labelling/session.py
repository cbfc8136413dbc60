"""A labelling session: a server whose page asks for the events of a set of videos.

Its state lies beside the manifest, so the same command continues the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from exvad.checkpoints.zero_shot import ZERO_SHOT, memory_classes
from exvad.config import Config, dump_config, override_config
from exvad.data.atomic import write_text_atomic
from exvad.data.storage.packaged import PACKAGE_PREFIX
from exvad.data.storage.places import is_uri
from exvad.serving.labelling.reviewed_manifest import ReviewedManifest, check_manifest
from exvad.serving.labelling.videos import QueuedVideos, find_videos, queue_videos
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.database import check_database, database_errors
from exvad.serving.schemas.analyses import AnalysisOptions
from exvad.serving.settings import ServerSettings

STATE_SUFFIX = ".exvad"
DETECTION = "detection.yaml"
FOR_EVER = 24 * 365 * 1000.0  # hours


class Session(NamedTuple):
    """A labelling session that a server can be started for.

    Args:
        settings: settings of the server.
        queued: what became of the videos.
        notes: what was left out, one sentence each.
        manifest: the manifest.
    """

    settings: ServerSettings
    queued: QueuedVideos
    notes: list[str]
    manifest: ReviewedManifest


def label_settings(settings: ServerSettings, manifest: Path) -> ServerSettings:
    """Return the settings of a server that writes reviews to a manifest.

    Args:
        settings: the other settings; without a checkpoint, detection without training is served.
        manifest: the manifest. The queue, the results and the reviews are in the folder of its
            name with `STATE_SUFFIX`, and are never deleted.
    """
    manifest = manifest.absolute()
    return settings.model_copy(
        update={
            "checkpoint": settings.checkpoint or ZERO_SHOT,
            "manifest": manifest,
            "spool": manifest.with_suffix(STATE_SUFFIX),
            "database": "",
            "retention_hours": FOR_EVER,
        }
    )


def open_session(
    videos: Sequence[str],
    manifest: Path,
    settings: ServerSettings,
    options: AnalysisOptions | None = None,
    detection: Config | None = None,
) -> Session:
    """Begin or continue a labelling session: queue its videos and write its manifest.

    Args:
        videos: videos, folders or patterns; may be empty if the session has videos.
        manifest: a `.csv` or `.parquet` file.
        settings: the other settings of the server.
        options: how the videos are analyzed; None for the defaults.
        detection: settings of detection without training, which are kept in the session's folder;
            None for the detector that `settings` name.

    Raises:
        OSError: the manifest can't be written.
        OtherVersionError: another version of exvad wrote the session.
        ValueError: there is no video, the videos have no folder in common, the manifest was not
            written by this session, the database can't be written, or there is no such memory.
    """
    if detection is not None:
        memory_classes(detection)
    settings = label_settings(settings, manifest)
    assert settings.manifest is not None
    check_manifest(settings.manifest, settings.spool)
    check_database(settings.database_path)
    found = find_videos(videos)
    if not found.videos and not settings.database_path.exists():
        raise ValueError("there is no video to label: name videos, or folders of videos")
    with database_errors(settings.database_path):
        queue = AnalysisQueue(settings.database_path, settings.lease_seconds)
        queued = queue_videos(found.videos, queue, options)
        writer = ReviewedManifest(settings.manifest, queue, settings.spool)
        writer.write()
    settings = settings.model_copy(update={"allowed_root": queued.root})
    if detection is not None:
        path = settings.spool / DETECTION
        write_text_atomic(path, dump_config(_with_absolute_memory(detection)))
        settings = settings.model_copy(update={"checkpoint": str(path)})
    return Session(settings, queued, found.notes, writer)


def _with_absolute_memory(config: Config) -> Config:
    """Return a configuration that can be read in any folder."""
    memory = config.zero_shot.memory
    if is_uri(memory) or memory.startswith(PACKAGE_PREFIX):
        return config
    return override_config(config, {"zero_shot.memory": str(Path(memory).absolute())})
