"""One request to decode, in a process of its own that ends with it.

The process is a fork of `sandbox_child.py`. It gives up everything but its channel and its video,
and only then reads the request: one line of JSON. The response is one line of JSON, followed by the
frames as raw bytes. A video in a bucket is read by the parent: the process asks for ranges of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from exvad.data.storage.errors import StorageError
from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.container import VideoError, open_video
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.open_file import OpenFile

MAX_RANGE = 8 * 2**20  # bytes


class Channel:
    """The only connection of the process: to the one that asks.

    Args:
        fd: the socket.
    """

    def __init__(self, fd: int) -> None:
        self._fd, self._rest = fd, b""

    def read_line(self) -> bytes:
        """Wait for a line and return it."""
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            parts.append(self._receive(2**16))
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line

    def read_range(self, offset: int, size: int) -> bytes:
        """Ask for a range of the video, and return it."""
        pieces = []
        while size > 0:
            length = min(size, MAX_RANGE)
            self.write(json.dumps({"read": [offset, length]}).encode() + b"\n")
            offset, size = offset + length, size - length
            while length > 0:
                piece = self._receive(length)
                length -= len(piece)
                pieces.append(piece)
        return b"".join(pieces)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of the data."""
        view = memoryview(data)
        while len(view):
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Close the channel: the response is complete."""
        os.close(self._fd)

    def _receive(self, size: int) -> bytes:
        data = os.read(self._fd, size)
        if not data:
            os._exit(1)  # whoever asked has gone
        return data


def answer(channel: Channel, video: int | None) -> None:
    """Read one request and write its response.

    Args:
        channel: connection to the process that asks.
        video: descriptor of the video's file; None to ask for ranges of it.
    """
    request = json.loads(channel.read_line())
    read_at: Callable[[int, int], bytes] = channel.read_range
    if video is not None:
        descriptor = video
        read_at = lambda offset, size: os.pread(descriptor, size, offset)  # noqa: E731
    file = OpenFile(request["name"], request["size"], read_at)
    try:
        head, frames = _respond(request["method"], request["arguments"], file)
    except VideoError as error:
        head, frames = {"error": error.reason}, []
    except StorageError as error:
        head, frames = {"storage": error.reason}, []
    except MemoryError:
        head, frames = {"memory": True}, []
    channel.write(json.dumps(head).encode() + b"\n")
    for part in frames:
        channel.write(part)
    channel.close()


def _respond(
    method: str, arguments: list[Any], file: OpenFile
) -> tuple[dict[str, Any], list[memoryview]]:
    """Return the head of the response to a request, and the frames that follow it."""
    if method == "open":
        (path,) = arguments
        with open_video(path, file):
            return {}, []
    if method == "plan":
        video_id, path, stride, snippets_per_chunk = arguments
        info, chunks = plan_chunks(video_id, path, stride, snippets_per_chunk, file)
        return {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}, []
    if method == "read_frames":
        path, times, short_side = arguments
        frames = read_frames(path, times, short_side, file=file)
        shapes = [frame.shape for frame in frames]
        return {"shapes": shapes}, [frame.reshape(-1).data for frame in frames]
    assert method == "decode", method
    row, short_side = arguments
    decoded = decode_chunk(Chunk.from_row(row), short_side, file=file)
    head = {
        "shape": decoded.frames.shape,
        "times": decoded.times.tolist(),
        "problems": decoded.problems,
    }
    return head, [decoded.frames.reshape(-1).data]
