"""Decode untrusted files in a child process with limits on memory and time.

The child contains whatever a hostile file does to a decoder: it has no secrets in its environment,
it writes no files, and its responses are validated and never unpickled. One child serves many
files. If it crashes, hangs or exceeds a limit, the file is refused, and the next file gets a new
child.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from exvad.video.chunks import Chunk
from exvad.video.container import DEFAULT_FPS, DecodingLimitError, VideoError
from exvad.video.decoding import DecodedChunk
from exvad.video.sandbox_responses import (
    parse_frames,
    parse_plan,
    parse_reason,
    parse_shapes,
)
from exvad.video.survey import VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

GIB = 2**30
MAX_TIMED_FILES = 256  # far more files than are decoded at once
MAX_LINE_BYTES = 64 * 2**20  # the plan of a video of several days
INHERITED_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class DecodingProcess:
    """A child process that plans and decodes local video files, one request at a time.

    Args:
        max_bytes: address space of the child, code and libraries included; the frames of one
            response may take an eighth of it.
        seconds: maximum time of one request: a plan, or the decoding of a chunk.
        command: command line of the child, for tests.
        file_seconds: maximum time of all requests for one file since its last plan. A few hundred
            kilobytes can contain a huge number of chunks, none of which takes long.
    """

    def __init__(
        self,
        max_bytes: int = 4 * GIB,
        seconds: float = 120,
        command: list[str] | None = None,
        file_seconds: float = 2 * 3600,
    ) -> None:
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.file_seconds = file_seconds
        self._seconds_of: dict[str, float] = {}
        module = [sys.executable, "-m", "exvad.video.sandbox_child", str(max_bytes)]
        self._command = command or module
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the child, even during a request."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def plan(
        self,
        video_id: str,
        path: str | Path,
        stride: int,
        snippets_per_chunk: int,
        stride_seconds: float = 0.0,
        folder_fps: float = DEFAULT_FPS,
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Split a video into chunks; see `exvad.video.chunks.plan_chunks`.

        Raises:
            VideoError: the file can't be read as a video, or reading it exceeds a limit.
            ValueError: `path` is a URI.
        """
        if "://" in str(path):
            raise ValueError(f"{path}: only local files can be decoded in a child process")
        request = (video_id, str(path), stride, snippets_per_chunk, stride_seconds)
        with self._lock:
            self._seconds_of.pop(str(path), None)
            with self._timed(str(path)):
                response, reader = self._request(str(path), "plan", (*request, folder_fps))
            try:
                return parse_plan(response, *request)
            except ValueError:
                raise reader.invalid_response() from None

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`.

        Raises:
            VideoError: no frame of it can be decoded, or decoding exceeds a limit.
        """
        with self._lock, self._timed(chunk.path):
            response, reader = self._request(chunk.path, "decode", (chunk.to_row(), short_side))
            try:
                shape, times_t, problems = parse_frames(response, chunk)
            except ValueError:
                raise reader.invalid_response() from None
            pixels = self._read_pixels(chunk.path, reader, [shape])
        frames = np.frombuffer(pixels, np.uint8).reshape(shape)
        return DecodedChunk(frames, times_t, problems)

    def read_frames(
        self, path: str | Path, times: Sequence[float], short_side: int | None = None
    ) -> list[NDArray[np.uint8]]:
        """Decode the frames that are shown at given times; see `exvad.video.decoding.read_frames`.

        Raises:
            VideoError: one of them can't be decoded, or decoding exceeds a limit.
        """
        arguments = (str(path), list(times), short_side)
        with self._lock:
            response, reader = self._request(str(path), "read_frames", arguments)
            try:
                shapes = parse_shapes(response, len(times))
            except ValueError:
                raise reader.invalid_response() from None
            pixels = self._read_pixels(str(path), reader, shapes)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        parts = np.split(np.frombuffer(pixels, np.uint8), ends)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _read_pixels(
        self, path: str, reader: _ResponseReader, shapes: Sequence[tuple[int, ...]]
    ) -> bytearray:
        """Read the frames of a response; refuse more than this process, without a limit, holds."""
        size = sum(math.prod(shape) for shape in shapes)
        if size > self.max_bytes // 8:
            self.close()
            raise self._out_of_memory(path)
        return reader.read_bytes(size)

    @contextmanager
    def _timed(self, path: str) -> Iterator[None]:
        """Add the time of the block to that of the file; refuse a file that exceeds its limit."""
        spent = self._seconds_of.get(path, 0.0)
        if spent > self.file_seconds:
            raise DecodingLimitError(
                path, f"decoding took longer than {self.file_seconds:.0f} s in total"
            )
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds_of.pop(path, None)  # moves the file to the end of the dictionary
            self._seconds_of[path] = spent + time.monotonic() - start
            if len(self._seconds_of) > MAX_TIMED_FILES:
                del self._seconds_of[next(iter(self._seconds_of))]

    def _out_of_memory(self, path: str) -> VideoError:
        limit = self.max_bytes / GIB
        return DecodingLimitError(path, f"decoding needs more than {limit:.1f} GiB of memory")

    def _request(
        self, path: str, method: str, arguments: tuple[Any, ...]
    ) -> tuple[dict[str, Any], _ResponseReader]:
        """Send a request; return the head of the response and the reader of its frames."""
        process = self._process
        if process is None or process.poll() is not None:
            self.close()
            process = self._process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        reader = _ResponseReader(self, process.stdout, path, time.monotonic() + self.seconds)
        request = json.dumps({"method": method, "arguments": arguments}).encode() + b"\n"
        try:
            process.stdin.write(request)
            process.stdin.flush()
        except OSError:
            raise reader.crashed() from None
        response = reader.read_head()
        if "memory" in response:
            raise self._out_of_memory(path)
        if "error" in response:
            try:
                reason = parse_reason(response["error"])
            except ValueError:
                raise reader.invalid_response() from None
            raise VideoError(path, reason)
        return response, reader

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=sandbox_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg's log; the response has the reason
        )


def sandbox_environment() -> dict[str, str]:
    """Return the environment of a process that decodes untrusted files: it has no secrets."""
    environment = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    # Threads count against the address space and do not speed up single frames.
    environment["OPENBLAS_NUM_THREADS"] = environment["OMP_NUM_THREADS"] = "1"
    return environment


class _ResponseReader:
    """Reads one response of the child until a deadline.

    A child that a file has taken over may send anything, or nothing. On every failure the child is
    killed.
    """

    def __init__(self, owner: DecodingProcess, pipe: IO[bytes], path: str, deadline: float) -> None:
        self._owner, self._pipe, self._path, self._deadline = owner, pipe, path, deadline
        self._rest = b""

    def read_head(self) -> dict[str, Any]:
        """Read the first line, a JSON object.

        Raises:
            DecodingLimitError: it is something else or too long, the child ended, or it is late.
        """
        parts = [self._read_some()]
        size = len(parts[0])
        while b"\n" not in parts[-1]:
            parts.append(self._read_some())
            size += len(parts[-1])
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

    def read_bytes(self, size: int) -> bytearray:
        """Read the rest of the response.

        Raises:
            DecodingLimitError: there are more bytes, the child ended, or it is late.
        """
        buffer = bytearray(self._rest)
        while len(buffer) < size:
            buffer += self._read_some()
        if len(buffer) > size:
            raise self.invalid_response()
        return buffer

    def crashed(self) -> VideoError:
        """Kill the child and return the error of a child that ended."""
        self._owner.close()
        return DecodingLimitError(self._path, "decoding crashed the decoding process")

    def invalid_response(self) -> VideoError:
        """Kill the child and return the error of a response that is not valid."""
        self._owner.close()
        return DecodingLimitError(self._path, "the decoding process sent an invalid response")

    def _read_some(self) -> bytes:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0 or not select.select([self._pipe], [], [], remaining)[0]:
            self._owner.close()
            raise DecodingLimitError(
                self._path, f"decoding took longer than {self._owner.seconds:.0f} s"
            )
        data = os.read(self._pipe.fileno(), 2**20)
        if not data:
            raise self.crashed()
        return data
