"""The recording of one stream on disk: files of about a minute, the oldest of which are deleted.

Each file is a fragmented MP4; beside it, a line of JSON per fragment says where and when it is.
"""

from __future__ import annotations

import errno
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from exvad.data.atomic import write_text_atomic
from exvad.video.footage.mp4_boxes import place_fragment, read_timescale
from exvad.video.footage.recorder import Fragment

SEGMENT_SECONDS = 60.0
MIN_FREE_BYTES = 2**30  # of the disk, which the queue shares
PRIVATE_FOLDER = 0o700
LIMITS = "limits.json"
INDEX_SUFFIX = ".jsonl"
MAX_INDEX = 10**8


@dataclass(frozen=True)
class KeptFragment:
    """Where a fragment of a recording is.

    Args:
        path: the file.
        head_bytes: size of the beginning of the file.
        offset: where the fragment begins in the file, bytes.
        size: bytes.
        start: seconds since the stream began.
        end: seconds since the stream began.
        is_key: whether it begins at a key frame.
    """

    path: Path
    head_bytes: int
    offset: int
    size: int
    start: float
    end: float
    is_key: bool


@dataclass(frozen=True)
class Limits:
    """How much of a stream is kept.

    Args:
        hours: older files are deleted.
        max_bytes: the oldest files beyond it are deleted.
        min_free_bytes: so much of the disk stays free.
    """

    hours: float
    max_bytes: int
    min_free_bytes: int = MIN_FREE_BYTES


class RecordingRing:
    """Writes the recording of a stream.

    Args:
        folder: of this stream only; it is created if it does not exist.
        limits: how much is kept.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self._limits = folder, limits
        self._number, self._newest = 0, float("-inf")
        self._segment: _Segment | None = None
        self._is_open = False
        self._writing = threading.Lock()  # the process of a source may be replaced meanwhile

    def append(self, fragment: Fragment) -> None:
        """Append a fragment; one that is there already, of a file that is read again, is dropped.

        Raises:
            OSError: it can't be written, or the disk is nearly full.
            ValueError: it is no fragment.
        """
        with self._writing:
            self._append(fragment)

    def _append(self, fragment: Fragment) -> None:
        if not self._is_open:
            self._open()
        if fragment.end <= self._newest:
            return
        if self._segment is None or self._segment.must_end(fragment):
            self._segment = None
            delete_old(self.folder, self._limits)
            self._number += 1
            path = self.folder / f"{self._number % MAX_INDEX:08d}.mp4"
            self._segment = _Segment(path, fragment)
        self._make_room(fragment)
        try:
            self._segment.append(fragment)
        except OSError:
            # What is half written has no line, and is not read. It would keep a full disk full.
            if not self._segment.has_lines:
                _delete(self._segment.path)
            self._segment = None
            raise
        self._newest = fragment.end

    def _open(self) -> None:
        self.folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        file, limits = self.folder / LIMITS, json.dumps(asdict(self._limits))
        # A recording without limits is deleted: a full disk must not leave half of the file. One
        # that is as it should be stays, so that the oldest fragments can make room.
        if not file.exists() or file.read_text("utf-8") != limits:
            write_text_atomic(file, limits)
        self._number = max((int(path.stem) for path in _segments(self.folder)), default=0)
        ends = (item.end for item in read_fragments(self.folder))
        self._newest = max(ends, default=self._newest)
        self._is_open = True

    def _make_room(self, fragment: Fragment) -> None:
        needed = self._limits.min_free_bytes + len(fragment.head) + len(fragment.data)
        if shutil.disk_usage(self.folder).free >= needed:
            return
        for path in _segments(self.folder):
            if self._segment is None or path != self._segment.path:
                _delete(path)
                if shutil.disk_usage(self.folder).free >= needed:
                    return
        raise OSError(errno.ENOSPC, "the disk is nearly full")


class _Segment:
    """A file of the recording that is being written.

    Args:
        path: the file.
        first: its first fragment.

    Raises:
        ValueError: it is no fragment.
    """

    def __init__(self, path: Path, first: Fragment) -> None:
        self.path, self._head = path, first.head
        self._scale, self._start = read_timescale(first.head), first.start
        self._count = 0

    @property
    def has_lines(self) -> bool:
        """Whether a fragment of the file is complete."""
        return self._count > 0

    def must_end(self, fragment: Fragment) -> bool:
        """Whether a fragment belongs into the next file."""
        is_over = fragment.is_key and fragment.start - self._start >= SEGMENT_SECONDS
        return is_over or fragment.head != self._head or fragment.start < self._start

    def append(self, fragment: Fragment) -> None:
        """Append a fragment and its line.

        Raises:
            OSError: it can't be written.
            ValueError: it is no fragment.
        """
        ticks = round((fragment.start - self._start) * self._scale)
        placed = place_fragment(fragment.data, self._count + 1, ticks)
        with self.path.open("ab") as file:
            if not file.tell():
                file.write(fragment.head)
            offset = file.tell()
            file.write(placed)
        line = [len(fragment.head), offset, len(placed), fragment.start, fragment.end]
        with self.path.with_suffix(INDEX_SUFFIX).open("a", encoding="utf-8") as index:
            index.write(json.dumps([*line, fragment.is_key]) + "\n")
        self._count += 1


def read_fragments(
    folder: Path, start: float = float("-inf"), end: float = float("inf")
) -> list[KeptFragment]:
    """Return the fragments of a recording that overlap a span, in temporal order.

    Args:
        folder: of the stream; it may be missing.
        start: seconds since the stream began.
        end: seconds since the stream began.
    """
    found = []
    for path in _segments(folder):
        for item in _read_index(path):
            if item.end >= start and item.start <= end:
                found.append(item)
    return found


def delete_old(folder: Path, limits: Limits) -> None:
    """Delete the files of a recording that are too old or too many.

    Args:
        folder: of the stream.
        limits: how much is kept.
    """
    now, size = time.time(), 0
    for path in reversed(_segments(folder)):
        with suppress(FileNotFoundError):  # deleted meanwhile
            state = path.stat()
            size += state.st_size
            if size > limits.max_bytes or now - state.st_mtime > limits.hours * 3600:
                _delete(path)


def delete_recording(folder: Path) -> None:
    """Delete the recording of a stream, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)


def clean_up(root: Path, exists: Callable[[str], bool]) -> None:
    """Delete what is too old of all recordings, also of those that nobody writes any more.

    Args:
        root: the folder of all recordings; it may be missing.
        exists: whether there is a stream with an id.
    """
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        try:
            limits = Limits(**json.loads((folder / LIMITS).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            limits = None
        if limits is None or not exists(folder.name):
            delete_recording(folder)
            continue
        with suppress(OSError):  # the next call tries again
            delete_old(folder, limits)


def _segments(folder: Path) -> list[Path]:
    """Return the files of a recording, oldest first."""
    return sorted(path for path in folder.glob("*.mp4") if path.stem.isdecimal())


def _read_index(path: Path) -> Iterator[KeptFragment]:
    try:
        lines = path.with_suffix(INDEX_SUFFIX).read_text("utf-8").splitlines()
    except OSError:  # deleted meanwhile, or not written yet
        return
    for line in lines:
        with suppress(ValueError, TypeError):  # the last line of a process that was killed
            yield KeptFragment(path, *json.loads(line))


def _delete(path: Path) -> None:
    path.with_suffix(INDEX_SUFFIX).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
