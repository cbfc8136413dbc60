"""Decode untrusted files in a child process that the kernel confines, within limits.

A hostile file may take over its decoder. So each request is answered by a process of its own that
can open no file and no connection, sees no other video, and has no secrets in its environment. Its
responses are validated and never unpickled. If it crashes, hangs or exceeds a limit, only this file
is refused. See `exvad.video.confinement.layers` for what confines it.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from exvad.config import SandboxMode
from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import is_uri
from exvad.video.chunks import Chunk
from exvad.video.confinement.kernel import set_dumpable
from exvad.video.confinement.layers import Confinement
from exvad.video.container import DEFAULT_FPS, DecodingLimitError, VideoError
from exvad.video.decoding import DecodedChunk
from exvad.video.sandbox_reader import (
    BrokenRequestError,
    ResponseReader,
    frames_memory,
    handed_over,
)
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
CHILD = "exvad.video.sandbox_child"
MAX_TIMED_FILES = 256  # far more files than are decoded at once
START_SECONDS = 120.0  # on a busy machine, the first process of a node reads FFmpeg from a disk
END_SECONDS = 5.0
REPORT_BYTES = 2**16
INHERITED_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class SandboxError(ValueError):
    """This machine can't confine a decoding process as the setting demands."""


class DecodingProcess:
    """A child process that plans and decodes video files, one request at a time.

    Args:
        max_bytes: address space of the process of a request, code and libraries included; the
            frames of one response may take an eighth of it.
        seconds: maximum time of one request: a plan, or the decoding of a chunk. The time that a
            bucket takes does not count.
        command: command line of the child, for tests.
        file_seconds: maximum time of all requests for one file since its last plan. A few hundred
            kilobytes can contain a huge number of chunks, none of which takes long.
        mode: `strict` to refuse to decode unless files, network and other processes are out of
            reach, `best` for what the kernel allows, `off` for limits alone.
    """

    def __init__(
        self,
        max_bytes: int = 4 * GIB,
        seconds: float = 120,
        command: list[str] | None = None,
        file_seconds: float = 2 * 3600,
        mode: SandboxMode = "best",
    ) -> None:
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.file_seconds = file_seconds
        self.mode = mode
        self._seconds_of: dict[str, float] = {}
        module = [sys.executable, "-m", CHILD, str(max_bytes), mode]
        self._command = command or module
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._confinement: Confinement | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the child, even during a request."""
        process, self._process = self._process, None
        control, self._control = self._control, None
        if control is not None:
            control.close()
        if process is not None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def confinement(self) -> Confinement:
        """Return what confines the processes of requests on this machine, after a trial.

        Raises:
            SandboxError: less than the mode demands, or the child can't start.
        """
        with self._lock:
            if self._confinement is None and not self._start():
                raise SandboxError(
                    "the decoding process does not start: its memory limit may be too low"
                )
            assert self._confinement is not None
            return self._confinement

    def open(self, path: str | Path) -> None:
        """Open a video and read no more than its header.

        Raises:
            VideoError: the file can't be read as a video, or reading it exceeds a limit.
            StorageError: storage does not answer or refuses.
            SandboxError: the process can't be confined as the mode demands.
        """
        with self._lock, self._request(str(path), "open", (_public_name(path),)):
            pass

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
            StorageError: storage does not answer or refuses.
            SandboxError: the process can't be confined as the mode demands.
        """
        path, name = str(path), _public_name(path)
        arguments = (video_id, name, stride, snippets_per_chunk, stride_seconds)
        request = (*arguments, folder_fps)
        with self._lock:
            self._seconds_of.pop(path, None)
            with self._timed(path), self._request(path, "plan", request) as (response, reader, _):
                try:
                    info, chunks = parse_plan(response, *arguments)
                except ValueError:
                    raise reader.invalid_response() from None
        return replace(info, path=path), [replace(chunk, path=path) for chunk in chunks]

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`.

        Raises:
            VideoError: no frame of it can be decoded, or decoding exceeds a limit.
            StorageError: storage does not answer or refuses.
            SandboxError: the process can't be confined as the mode demands.
        """
        path = chunk.path
        arguments = (replace(chunk, path=_public_name(path)).to_row(), short_side)
        with (
            self._lock,
            self._timed(path),
            self._request(path, "decode", arguments) as (response, reader, memory),
        ):
            try:
                shape, times_t, problems = parse_frames(response, chunk)
            except ValueError:
                raise reader.invalid_response() from None
            pixels = self._read_pixels(path, reader, memory, [shape])
        return DecodedChunk(pixels.reshape(shape), times_t, problems)

    def read_frames(
        self,
        path: str | Path,
        times: Sequence[float],
        short_side: int | None = None,
        folder_fps: float = DEFAULT_FPS,
    ) -> list[NDArray[np.uint8]]:
        """Decode the frames that are shown at given times; see `exvad.video.decoding.read_frames`.

        Raises:
            VideoError: one of them can't be decoded, or decoding exceeds a limit.
            StorageError: storage does not answer or refuses.
            SandboxError: the process can't be confined as the mode demands.
        """
        path = str(path)
        arguments = (_public_name(path), list(times), short_side, folder_fps)
        with self._lock, self._request(path, "read_frames", arguments) as answer:
            response, reader, memory = answer
            try:
                shapes = parse_shapes(response, len(times))
            except ValueError:
                raise reader.invalid_response() from None
            pixels = self._read_pixels(path, reader, memory, shapes)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        parts = np.split(pixels, ends)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _read_pixels(
        self,
        path: str,
        reader: ResponseReader,
        memory: int,
        shapes: Sequence[tuple[int, ...]],
    ) -> NDArray[np.uint8]:
        """Read the frames of a response, without copying them."""
        size = sum(math.prod(shape) for shape in shapes)
        if size > self._max_frame_bytes:
            raise self._out_of_memory(path)
        reader.read_end()
        return np.frombuffer(mmap.mmap(memory, size), np.uint8)

    @property
    def _max_frame_bytes(self) -> int:
        return self.max_bytes // 8

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

    @contextmanager
    def _request(
        self, path: str, method: str, arguments: tuple[Any, ...]
    ) -> Iterator[tuple[dict[str, Any], ResponseReader, int]]:
        """Send a request; yield the head of the response, its reader and the memory of its frames.

        The process of the request ends with the block.
        """
        with contextlib.ExitStack() as stack:
            video = stack.enter_context(handed_over(path))
            memory = stack.enter_context(frames_memory(self._max_frame_bytes))
            descriptors = [memory] if video.descriptor is None else [memory, video.descriptor]
            channel = stack.enter_context(self._hand_over(path, descriptors))
            reader = ResponseReader(channel, path, self.seconds, video)
            request = {
                "method": method,
                "arguments": arguments,
                "name": _public_name(path),
                "size": video.size,
                "parts": video.parts,
                "max_frame_bytes": self._max_frame_bytes,
            }
            try:
                reader.send(json.dumps(request).encode() + b"\n")
                response = reader.read_head()
                if "memory" in response:
                    raise self._out_of_memory(path)
                if "error" in response or "storage" in response:
                    raise self._failure(path, response, reader)
                yield response, reader, memory
            except BrokenRequestError:
                self.close()  # the child may be ending, and can't be asked
                raise
            finally:
                self._end_worker()

    def _failure(
        self, path: str, response: dict[str, Any], reader: ResponseReader
    ) -> VideoError | StorageError:
        """Return the error that a response reports."""
        is_storage = "storage" in response
        try:
            reason = parse_reason(response["storage" if is_storage else "error"])
        except ValueError:
            return reader.invalid_response()
        return StorageError(path, reason) if is_storage else VideoError(path, reason)

    def _hand_over(self, path: str, descriptors: list[int]) -> socket.socket:
        """Make a process for a request, with open files; return the channel to it."""
        with contextlib.ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            # A child that ended between two requests costs no file.
            for _ in range(2):
                is_running = self._process is not None and self._process.poll() is None
                if not is_running and not self._start():
                    break
                assert self._control is not None
                try:
                    socket.send_fds(self._control, [b"r"], [theirs.fileno(), *descriptors])
                except OSError:
                    self.close()
                else:
                    theirs.close()
                    stack.pop_all()
                    return ours
        raise DecodingLimitError(path, "decoding crashed the decoding process")

    def _end_worker(self) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):  # the child has ended
                self._control.send(b"e")

    def _start(self) -> bool:
        """Start the child and read what confines it; return whether it started.

        Raises:
            SandboxError: this machine can't confine it as the mode demands.
        """
        self.close()
        # A message has open files with it, or none: its borders matter.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    self._command,
                    env=sandbox_environment(),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # FFmpeg's log; the response has the reason
                )
            has_report = select.select([self._control], [], [], START_SECONDS)[0]
            report = self._control.recv(REPORT_BYTES) if has_report else b""
            self._confinement = Confinement.parse(json.loads(report))
        except (OSError, ValueError):
            self.close()
            return False
        if self.mode == "strict" and self._confinement.reachable:
            self.close()
            reachable = ", ".join(self._confinement.reachable)
            raise SandboxError(
                f"sandbox=strict, but this machine can't keep {reachable} out of a hostile video's "
                "reach: it takes seccomp, with Landlock (Linux 5.13) or user namespaces; sandbox="
                "best decodes with what there is"
            )
        if self.mode != "off" and self._confinement.reachable:
            # All that is left: no process of the same user may read this one's memory.
            set_dumpable(False)
        return True


def sandbox_environment() -> dict[str, str]:
    """Return the environment of a process that decodes untrusted files: it has no secrets."""
    environment = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    # Threads count against the address space and do not speed up single frames.
    environment["OPENBLAS_NUM_THREADS"] = environment["OMP_NUM_THREADS"] = "1"
    # The memory of a process of its own is new to every request, and is mapped page by page. Huge
    # pages save most of that.
    environment["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    return environment


def _public_name(path: str | Path) -> str:
    """Return what the process of a request may know of a path; a URI may contain a password."""
    return "<none>" if is_uri(path) else Path(path).name
