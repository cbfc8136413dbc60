"""Where a run lies and where its videos are: what can be written and read."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.config.addresses import shown_address
from exvad.config.counts import count_of
from exvad.data.annotations.clock import events_in_frames, fit_to_length
from exvad.data.annotations.measuring import clocks_read_by
from exvad.data.dataset import load_manifest
from exvad.data.storage.errors import StorageError, reason_of
from exvad.data.storage.places import is_uri, resolve_place
from exvad.data.storage.writable import PROBE_BYTES, nearest_existing, write_probe
from exvad.pipeline.preflight.findings import Finding, gib
from exvad.video.container import VideoError
from exvad.video.sandbox import DecodingProcess, SandboxError

if TYPE_CHECKING:
    from exvad.config import Config, DataConfig, SandboxMode
    from exvad.data.manifest import Manifest

TRIED_VIDEOS = 3
SHOWN_NOTES = 3
COMPARING_SECONDS = 5.0
VIDEO_SECONDS = 10.0


def check_place(what: str, location: str) -> Finding:
    """Check that files can be written to a folder, or to where it will be made.

    Args:
        what: the setting that names the folder.
        location: a local path or a URI.
    """
    if is_uri(location):
        return _check_remote_place(what, location)
    folder = Path(location).absolute()
    try:
        existing = nearest_existing(folder)
    except OSError as error:
        return Finding(what, False, f"{reason_of(error)}: set {what}= to another folder")
    if not existing.is_dir():
        return Finding(what, False, f"{existing} is a file, not a folder: set {what}= to a folder")
    try:
        write_probe(existing)
    except OSError as error:
        why = f"{existing} can't be written to ({reason_of(error)})"
        advice = f"make room or rights there, or set {what}= to another folder"
        return Finding(what, False, f"{why}: {advice}")
    free = shutil.disk_usage(existing).free
    return Finding(what, True, f"{location}: can be written, {gib(free)} free")


def require_places(config: Config) -> None:
    """Refuse a run whose folder or store can't be written to.

    Raises:
        ValueError: it can't; the message names every problem.
    """
    places = {"run": config.run, "store": config.store_path}
    findings = [check_place(what, location) for what, location in places.items()]
    if problems := [f"{found.what}: {found.detail}" for found in findings if not found.ok]:
        raise ValueError("; ".join(problems))


def _check_remote_place(what: str, location: str) -> Finding:
    probe = f".exvad-check-{uuid.uuid4().hex}"
    try:
        place = resolve_place(location) / probe
        place.write_bytes(bytes(PROBE_BYTES))
        place.delete()
    except (OSError, ValueError) as error:
        advice = "check the address and the rights of this account"
        shown = shown_address(location)
        return Finding(what, False, f"{shown} can't be written to ({error}): {advice}")
    return Finding(what, True, f"{shown_address(location)}: can be written")


def check_data(config: Config, compares_events: bool = False) -> Finding:
    """Check that the data set can be read, and open one of its first videos.

    The demo world, which is rendered when it is first needed, is not rendered for this.

    Args:
        config: `data` describes the data set.
        compares_events: whether to name events beyond the end of the videos that can be opened
            in a few seconds.
    """
    data = config.data
    missing = _missing_settings(data)
    if missing:
        return Finding("data", False, "; ".join(missing))
    if data.kind == "world":
        return Finding("data", True, f"the demo world in {data.root}, rendered if it is not there")
    try:
        manifest = load_manifest(config)
    except (ValueError, OSError) as error:
        return Finding("data", False, str(error))
    errors, sandbox = [], config.stages.sandbox
    videos = count_of(len(manifest.videos), "video")
    for video in islice(manifest.videos, TRIED_VIDEOS):
        try:
            _open(video.path, data, sandbox)
        except SandboxError as error:
            # Jobs refuse for this where they decode, which may be on machines that can confine.
            return Finding("data", True, f"{videos}, none of which was opened: {error}")
        except (VideoError, StorageError) as error:
            errors.append(str(error))
        else:
            beyond = _beyond_the_end(manifest, config) if compares_events else []
            found = [*manifest.notes, *beyond]
            notes = [f"; note: {note}" for note in found[:SHOWN_NOTES]]
            if len(found) > SHOWN_NOTES:
                notes.append(f"; and {count_of(len(found) - SHOWN_NOTES, 'more note')}")
            detail = f"{videos}; {shown_address(video.path)} can be read{''.join(notes)}"
            return Finding("data", True, detail)
    if not errors:
        return Finding("data", False, "the data set has no videos")
    return Finding("data", False, f"none of the first videos can be read: {'; '.join(errors)}")


def _beyond_the_end(manifest: Manifest, config: Config) -> list[str]:
    """Name events beyond the end of local videos, as far as a few seconds suffice."""
    notes: list[str] = []
    timed = [
        video
        for video in manifest.videos
        if (video.events or video.timed_events)
        and video.num_frames is None
        and not is_uri(video.path)
    ]
    end = time.monotonic() + COMPARING_SECONDS
    with clocks_read_by(VIDEO_SECONDS, config.data.folder_fps, config.stages.sandbox) as read_clock:
        for number, video in enumerate(timed):
            if time.monotonic() > end:
                notes.append(
                    f"the events of {count_of(len(timed) - number, 'more video')} are compared "
                    "with the lengths of these when they are preprocessed"
                )
                break
            with contextlib.suppress(VideoError):  # preprocessing lists what can't be read
                clock = read_clock(Path(video.path))
                _, phrases = fit_to_length(events_in_frames(video, clock), clock.num_frames)
                notes += [f"{video.video_id}: {phrase}" for phrase in phrases]
    return notes


def _missing_settings(data: DataConfig) -> list[str]:
    """Return what a kind of data set needs and does not have."""
    needed = {
        "manifest": {"manifest": data.manifest},
        "world": {"root": data.root},
        "folder": {"root": data.root},
    }.get(data.kind, {"root": data.root, "annotations": data.annotations})
    contents = {"manifest": "the manifest (CSV or Parquet)", "root": "the folder of the videos"}
    contents["annotations"] = f"the folder of {data.kind}'s official files"
    problems = []
    for name, value in needed.items():
        if not value:
            problems.append(f"data.{name} is empty: give {contents[name]}")
        elif data.kind != "world" and "://" not in value and not Path(value).exists():
            problems.append(f"data.{name}={value} does not exist: give {contents[name]}")
    return problems


def _open(path: str, data: DataConfig, sandbox: SandboxMode) -> None:
    """Open a video.

    Raises:
        SandboxError: this machine can't confine decoding as the mode demands; nothing was opened.
        VideoError: it can't be read.
        StorageError: storage does not answer or refuses.
    """
    with DecodingProcess(seconds=VIDEO_SECONDS, mode=sandbox) as process:
        if is_uri(path):
            process.open(path)
            return
        process.plan(
            "check",
            path,
            data.stride,
            data.snippets_per_chunk,
            data.stride_seconds,
            data.folder_fps,
        )
