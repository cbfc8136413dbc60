"""One request to decode, in a process of its own that ends with it.

The process is a fork of `sandbox_child.py`. It gives up everything but its channel and its video,
and only then reads the request: one line of JSON. The response is one line of JSON; frames are in
memory that the parent has handed over. A video in a bucket and a folder of frames are read by the
parent: the process asks for ranges of them.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.storage.errors import StorageError
from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.confinement.kernel import call
from exvad.video.container import VideoError, open_video
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.open_file import OpenFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_READ_WRITE, _SHARED = 3, 1
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

    def write(self, data: bytes) -> None:
        """Write all of the data."""
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Close the channel: the response is complete."""
        os.close(self._fd)

    def _receive(self, size: int) -> bytes:
        data = os.read(self._fd, size)
        if not data:
            os._exit(1)  # whoever asked has gone
        return data


def answer(channel: Channel, memory: int, video: int | None) -> None:
    """Read one request and write its response.

    Args:
        channel: connection to the process that asks.
        memory: descriptor of the memory for the frames.
        video: descriptor of the video's file; None to ask for ranges of it.
    """
    request = json.loads(channel.read_line())
    read_at: Callable[[int, int], bytes] = channel.read_range
    if video is not None:
        descriptor = video
        read_at = lambda offset, size: os.pread(descriptor, size, offset)  # noqa: E731
    file = OpenFile(request["name"], request["size"], read_at, request["parts"])
    try:
        shared = SharedMemory(memory, request["max_frame_bytes"])
        head = _respond(request["method"], request["arguments"], file, shared)
    except VideoError as error:
        head = {"error": error.reason}
    except StorageError as error:
        head = {"storage": error.reason}
    except MemoryError:
        head = {"memory": True}
    channel.write(json.dumps(head).encode() + b"\n")
    channel.close()


class SharedMemory:
    """Memory of the parent for the frames.

    Args:
        descriptor: its descriptor.
        size: its bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size = descriptor, size

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return an array at the beginning of the memory.

        Args:
            shape: its shape.

        Raises:
            MemoryError: it is larger than the memory.
        """
        size = math.prod(shape)
        if size > self._size:
            raise MemoryError
        # Python's mmap looks at the file first, which this process may not do.
        address = call("mmap", None, size, _READ_WRITE, _SHARED, self._descriptor, 0)
        view = memoryview((ctypes.c_uint8 * size).from_address(address)).cast("B")
        return np.frombuffer(view, np.uint8).reshape(shape)


def _respond(
    method: str, arguments: list[Any], file: OpenFile, shared: SharedMemory
) -> dict[str, Any]:
    """Return the response to a request; its frames are in the shared memory then."""
    if method == "open":
        (path,) = arguments
        with open_video(path, file=file):
            return {}
    if method == "plan":
        video_id, path, stride, snippets, stride_seconds, folder_fps = arguments
        info, chunks = plan_chunks(
            video_id, path, stride, snippets, stride_seconds, folder_fps, file
        )
        return {"info": asdict(info), "chunks": [chunk.to_row() for chunk in chunks]}
    if method == "read_frames":
        path, times, short_side, folder_fps = arguments
        frames = read_frames(path, times, short_side, folder_fps, file)
        flat = shared.allocate((sum(frame.size for frame in frames),))
        np.concatenate([frame.reshape(-1) for frame in frames], out=flat)
        return {"shapes": [frame.shape for frame in frames]}
    assert method == "decode", method
    row, short_side = arguments
    chunk = Chunk.from_row(row)
    decoded = decode_chunk(chunk, short_side, file=file, allocate=shared.allocate)
    return {
        "shape": decoded.frames.shape,
        "times": decoded.times.tolist(),
        "problems": decoded.problems,
    }
