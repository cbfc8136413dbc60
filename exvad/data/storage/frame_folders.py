"""Folders of frames: a video that is kept as one image per frame."""

from __future__ import annotations

import re
from pathlib import Path

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
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_CODECS and not path.name.startswith(".")
    ]
    return sorted(images, key=lambda path: _natural_key(path.name))


def is_frame_folder(folder: Path) -> bool:
    """Return whether a folder is a video, with one image per frame.

    Args:
        folder: a local path; anything else than a folder is no video of this kind.
    """
    return folder.is_dir() and any(
        path.suffix.lower() in IMAGE_CODECS and not path.name.startswith(".")
        for path in folder.iterdir()
    )


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts numbers by value, and equal ones by the name itself."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name
