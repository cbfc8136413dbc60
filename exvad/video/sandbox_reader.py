"""One request to a decoding process: what it is handed over, and how its response is read.

A hostile file may have taken over the process. It gets the descriptor of a file. A video in a
bucket and a folder of frames are read here instead: the process asks for ranges of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from exvad.data.storage.frame_folders import JoinedFiles, list_frames
from exvad.data.storage.places import is_uri
from exvad.video.container import (
    DecodingLimitError,
    VideoError,
    check_local,
    open_remote,
    unreadable,
)
from exvad.video.sandbox_worker import MAX_RANGE

MAX_LINE_BYTES = 64 * 2**20  # the plan of a video of several days
MAX_READS = 16  # how often a video that is served may be read; several ways to decode are tried
MIB = 2**20


class _Readable(Protocol):
    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class HandedOver:
    """A video as a decoding process gets it: as a descriptor, or by ranges.

    Args:
        size: its bytes.
        descriptor: the open file; None to serve ranges.
        served: the content of which ranges are served; None for a descriptor.
        parts: name and bytes of each image of a folder of frames, whose content is that of its
            images, one after the other.
    """

    size: int
    descriptor: int | None = None
    served: _Readable | None = None
    parts: tuple[tuple[str, int], ...] = ()


@contextmanager
def handed_over(path: str) -> Iterator[HandedOver]:
    """Open a video for a decoding process.

    Args:
        path: local path or URI.

    Yields:
        What the process gets.

    Raises:
        VideoError: it can't be opened.
        StorageError: storage does not answer or refuses.
    """
    if is_uri(path):
        with open_remote(path) as remote:
            yield HandedOver(remote.seek(0, os.SEEK_END), served=remote)
        return
    check_local(path)
    if Path(path).is_dir():
        yield _open_folder(path)
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise VideoError(path, "is not a regular file")
        yield HandedOver(status.st_size, descriptor)
    finally:
        os.close(descriptor)


def _open_folder(path: str) -> HandedOver:
    try:
        images = list_frames(Path(path))
        joined = JoinedFiles(images)
    except OSError as error:
        raise unreadable(path, error) from error
    parts = tuple(zip([image.name for image in images], joined.sizes, strict=True))
    return HandedOver(sum(joined.sizes), served=joined, parts=parts)


@contextmanager
def frames_memory(size: int) -> Iterator[int]:
    """Yield the descriptor of memory that another process can fill, but not make smaller.

    Args:
        size: its bytes; it takes only those that are filled.
    """
    descriptor = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        yield descriptor
    finally:
        os.close(descriptor)


class BrokenRequestError(DecodingLimitError):
    """A decoding process ended or did not respond in time; what started it may be as broken."""


class ResponseReader:
    """Reads one response until a deadline. The process may send anything, or nothing.

    Args:
        channel: connection to the process.
        path: the video, for errors.
        seconds: time for the response; waiting for storage does not count.
        video: the video as the process gets it.
    """

    def __init__(
        self, channel: socket.socket, path: str, seconds: float, video: HandedOver
    ) -> None:
        self._channel, self._path, self._seconds = channel, path, seconds
        self._deadline = time.monotonic() + seconds
        self._rest = b""
        self._video, self._read_bytes = video, 0

    def send(self, data: bytes) -> None:
        """Send data to the process.

        Raises:
            DecodingLimitError: the process ended, or it does not read in time.
        """
        self._channel.settimeout(max(0.001, self._deadline - time.monotonic()))
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise self._late() from None
        except OSError:
            raise self.crashed() from None

    def read_head(self) -> dict[str, Any]:
        """Read the first line of the response, a JSON object, and serve requests before it.

        Raises:
            DecodingLimitError: it is something else or too long, the process ended, or it is late.
            StorageError: storage does not answer.
        """
        while True:
            head = self._read_object()
            if self._video.served is None or "read" not in head:
                return head
            self._serve_range(self._video.served, head["read"])

    def read_end(self) -> None:
        """Wait for the end of the response.

        Raises:
            DecodingLimitError: there are more bytes, or it is late.
        """
        if not self._rest:
            self._wait()
            self._rest = self._receive()
        if self._rest:
            raise self.invalid_response()

    def crashed(self) -> BrokenRequestError:
        """Return the error of a process that ended."""
        return BrokenRequestError(self._path, "decoding crashed the decoding process")

    def invalid_response(self) -> DecodingLimitError:
        """Return the error of a response that is not valid."""
        return DecodingLimitError(self._path, "the decoding process sent an invalid response")

    def _read_object(self) -> dict[str, Any]:
        parts = [self._rest]
        size = len(self._rest)
        while b"\n" not in parts[-1]:
            self._wait()
            data = self._receive()
            if not data:
                raise self.crashed()
            parts.append(data)
            size += len(data)
            if size > MAX_LINE_BYTES:
                raise self.invalid_response()
        line, _, self._rest = b"".join(parts).partition(b"\n")
        try:
            head = json.loads(line)
        except (ValueError, RecursionError):
            head = None
        if not isinstance(head, dict):
            raise self.invalid_response()
        return head

    def _serve_range(self, served: _Readable, wanted: Any) -> None:
        """Send a range of the video to the process."""
        is_pair = isinstance(wanted, list) and [type(number) for number in wanted] == [int, int]
        offset, size = wanted if is_pair else (-1, 0)
        is_inside = offset >= 0 and 0 < size <= MAX_RANGE and offset + size <= self._video.size
        self._read_bytes += size
        too_many = self._read_bytes > MAX_READS * self._video.size + 256 * MIB
        if not is_inside or too_many:
            raise self.invalid_response()
        began = time.monotonic()
        try:
            served.seek(offset)
            data = served.read(size)
        except OSError as error:
            raise unreadable(self._path, error) from error
        self._deadline += time.monotonic() - began
        if len(data) != size:
            raise DecodingLimitError(self._path, "the file became shorter while it was read")
        self.send(data)

    def _receive(self) -> bytes:
        try:
            return self._channel.recv(2**20)
        except ConnectionResetError:
            return b""

    def _wait(self) -> None:
        """Wait for data or for the end of the process."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0 or not select.select([self._channel], [], [], remaining)[0]:
            raise self._late()

    def _late(self) -> BrokenRequestError:
        return BrokenRequestError(self._path, f"decoding took longer than {self._seconds:.0f} s")
