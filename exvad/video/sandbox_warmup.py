"""Load whatever decoding needs, before a process gives up the files that it is loaded from.

n frames
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pkgutil
from fractions import Fraction

import av
import numpy as np

from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.footage.clock import mend_clock
from exvad.video.open_file import OpenFile

_FRAMES, _SIDE = 8, 32


def warm_up() -> None:
    """Import all of PyAV, and decode videos that this process makes itself.

    PyAV and NumPy import some of their modules when they first need them.
    """
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    file = _open(_make_video())
    _, chunks = plan_chunks("", file.name, stride=2, snippets_per_chunk=2, file=file)
    for chunk in chunks:
        decode_chunk(chunk, _SIDE // 2, file=file)
    read_frames(file.name, [0.0], file=file)
    folder = _open_folder([_make_image()] * 2)
    _, chunks = plan_chunks("", folder.name, stride_seconds=0.5, file=folder)
    decode_chunk(chunks[0], file=folder)
    shown_n = np.array([0.0, np.nan, 0.04, 0.04, 9.0, 1e6])
    for reordered in (False, True):
        mend_clock(shown_n, shown_n, reordered)
    with contextlib.suppress(VideoError):
        plan_chunks("", file.name, file=_open(b"no video"))


def _open(content: bytes) -> OpenFile:
    return OpenFile("a.mp4", len(content), lambda offset, size: content[offset : offset + size])


def _open_folder(images: list[bytes]) -> OpenFile:
    content = b"".join(images)
    parts = [(f"{index}.png", len(image)) for index, image in enumerate(images)]
    return OpenFile("a", len(content), lambda start, size: content[start : start + size], parts)


def _make_image() -> bytes:
    codec = av.CodecContext.create("png", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width = codec.height = _SIDE
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.zeros((_SIDE, _SIDE, 3), np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode()])


def _make_video() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for index in range(_FRAMES):
            pixels = np.full((_SIDE, _SIDE, 3), index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
