"""Folders of frames: a video that is kept as one image per frame."""

from __future__ import annotations

import io
import os
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from exvad.data.storage.video_names import is_video_name

IMAGE_CODECS = {
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".png": "png",
    ".bmp": "bmp",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".ppm": "ppm",
    ".pgm": "pgm",
}
"""Suffix of an image, in lower case → FFmpeg's name of its codec."""


def list_frames(folder: Path) -> list[Path]:
    """Return the images that lie in a folder, in the order of the numbers in their names.

    `frame2.jpg` comes before `frame10.jpg`. Names that begin with a dot are skipped.

    Args:
        folder: a local folder.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_image(entry)]
    return [folder / name for name in sorted(names, key=_natural_key)]


def is_frame_folder(folder: Path) -> bool:
    """Return whether a folder is a video, with one image per frame.

    One that holds a video is none: its images may be previews.

    Args:
        folder: a local path; anything else than a folder is no video of this kind.
    """
    if not folder.is_dir():
        return False
    has_image = False
    with os.scandir(folder) as entries:
        for entry in entries:  # of a video there are tens of thousands: only look at names
            if _suffix(entry) in IMAGE_CODECS:
                has_image = has_image or _is_image(entry)
            elif is_video_name(entry.name) and entry.is_file():
                return False
    return has_image


def holds_image(folder: Path) -> bool:
    """Return whether an image lies in a folder; the first one answers.

    Args:
        folder: a local path; anything else than a folder holds none.
    """
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(_is_image(entry) for entry in entries)


def images_and_videos(folder: Path) -> tuple[int, int]:
    """Return the numbers of images and of videos that lie in a folder.

    Args:
        folder: a local path; anything else than a folder holds none.
    """
    if not folder.is_dir():
        return 0, 0
    images = videos = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            images += _is_image(entry)
            videos += is_video_name(entry.name) and entry.is_file()
    return images, videos


class JoinedFiles:
    """Files as one readable file, one after the other; each is open only while it is read.

    Args:
        paths: regular files.

    Attributes:
        sizes: bytes of each file, as they are now.

    Raises:
        OSError: a file can't be looked at.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.sizes = [path.stat().st_size for path in paths]
        self._paths = paths
        self._starts = [0, *accumulate(self.sizes)]
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        size = self._starts[-1]
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; fewer at the end, or if a file has become shorter.

        Raises:
            OSError: a file can't be read.
        """
        end = self._starts[-1] if size < 0 else min(self._starts[-1], self._position + size)
        pieces = []
        while self._position < end:
            index = bisect_right(self._starts, self._position) - 1
            start = self._starts[index]
            length = min(end, self._starts[index + 1]) - self._position
            piece = _read_at(self._paths[index], self._position - start, length)
            if not piece:
                break
            pieces.append(piece)
            self._position += len(piece)
        return b"".join(pieces)


def _read_at(path: Path, offset: int, size: int) -> bytes:
    # A pipe may have replaced the file: opening it must not wait, and reading it here fails.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)


def _is_image(entry: os.DirEntry[str]) -> bool:
    return _suffix(entry) in IMAGE_CODECS and not entry.name.startswith(".") and entry.is_file()


def _suffix(entry: os.DirEntry[str]) -> str:
    return os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a path per frame is slow


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts numbers by value, and equal ones by the name itself."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name
