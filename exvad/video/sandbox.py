"""Decoding of files nobody vouches for: in a process of its own, with limits on memory and time.

What a decoder does with a hostile file is contained: the process has no secrets in its environment,
writes no files, and what it sends back is checked and never unpickled. It lives on from file to
file; when it dies, hangs or wants too much, the file is refused and the next one gets a new one.
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

from exvad.video.chunks import Chunk, VideoInfo
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoding import DecodedChunk
from exvad.video.sandbox_answers import (
    checked_frames,
    checked_plan,
    checked_reason,
    checked_shapes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

GIB = 2**30
MOST_FILES = 256  # files whose time is counted: far more than are decoded at once
LONGEST_LINE = 64 * 2**20  # bytes: the plan of a video of some days
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class DecodingProcess:
    """A process that plans and decodes local video files, one question at a time.

    Args:
        max_bytes: address space it may have, code and libraries included; the pictures of a chunk
            may have an eighth of it.
        seconds: longest time for one question: a plan, or the decoding of a chunk.
        command: what is started; for tests.
        file_seconds: longest time for all questions about a file, from its plan on. A few hundred
            kilobytes may hold chunks without number, none of which takes too long.
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
        self._spent: dict[str, float] = {}
        module = [sys.executable, "-m", "exvad.video.sandbox_child", str(max_bytes)]
        self._command = command or module
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; a question that is under way is not waited for."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def plan(
        self, video_id: str, path: str | Path, stride: int, snippets_per_chunk: int
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Cut a video into chunks; see `exvad.video.chunks.plan_chunks`.

        Raises:
            VideoError: it is no video that can be read, or reading it takes too long or too much.
        """
        if "://" in str(path):
            raise ValueError(f"{path}: only local files are decoded in a process of their own")
        asked = (video_id, str(path), stride, snippets_per_chunk)
        with self._lock:
            self._spent.pop(str(path), None)
            with self._counted(str(path)):
                told, reader = self._ask(str(path), "plan", asked)
            try:
                return checked_plan(told, *asked)
            except ValueError:
                raise reader.nonsense() from None

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`.

        Raises:
            VideoError: none of it can be decoded, or decoding takes too long or too much.
        """
        with self._lock, self._counted(chunk.path):
            told, reader = self._ask(chunk.path, "decode", (chunk.to_row(), short_side))
            try:
                shape, times_t, problems = checked_frames(told, chunk)
            except ValueError:
                raise reader.nonsense() from None
            pixels = self._pixels(chunk.path, reader, [shape])
        frames = np.frombuffer(pixels, np.uint8).reshape(shape)
        return DecodedChunk(frames, times_t, problems)

    def frames(
        self, path: str | Path, times: Sequence[float], short_side: int | None = None
    ) -> list[NDArray[np.uint8]]:
        """Decode the frames shown at some moments; see `exvad.video.decoding.read_frames`.

        Raises:
            VideoError: one of them can't be decoded, or decoding takes too long or too much.
        """
        with self._lock:
            told, reader = self._ask(str(path), "frames", (str(path), list(times), short_side))
            try:
                shapes = checked_shapes(told, len(times))
            except ValueError:
                raise reader.nonsense() from None
            pixels = self._pixels(str(path), reader, shapes)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        parts = np.split(np.frombuffer(pixels, np.uint8), ends)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _pixels(self, path: str, reader: _Reader, shapes: Sequence[tuple[int, ...]]) -> bytearray:
        """Read pictures, unless this process, which has no limit of its own, had better not."""
        count = sum(math.prod(shape) for shape in shapes)
        if count > self.max_bytes // 8:
            self.close()
            raise self._too_much(path)
        return reader.pixels(count)

    @contextmanager
    def _counted(self, path: str) -> Iterator[None]:
        """Count the time a file takes, and refuse it when that was enough."""
        spent = self._spent.get(path, 0.0)
        if spent > self.file_seconds:
            raise DecodingLimitError(
                path, f"took longer than {self.file_seconds:.0f} s to be decoded, all in all"
            )
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent.pop(path, None)  # so that it comes last again
            self._spent[path] = spent + time.monotonic() - began
            if len(self._spent) > MOST_FILES:
                del self._spent[next(iter(self._spent))]

    def _too_much(self, path: str) -> VideoError:
        needed = f"needs more than {self.max_bytes / GIB:.1f} GiB to be decoded"
        return DecodingLimitError(path, needed)

    def _ask(
        self, path: str, what: str, arguments: tuple[Any, ...]
    ) -> tuple[dict[str, Any], _Reader]:
        process = self._process
        if process is None or process.poll() is not None:
            self.close()
            process = self._process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        reader = _Reader(self, process.stdout, path, time.monotonic() + self.seconds)
        question = json.dumps({"do": what, "arguments": arguments}).encode() + b"\n"
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except OSError:
            raise reader.died() from None
        told = reader.line()
        if "memory" in told:
            raise self._too_much(path)
        if "error" in told:
            try:
                reason = checked_reason(told["error"])
            except ValueError:
                raise reader.nonsense() from None
            raise VideoError(path, reason)
        return told, reader

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # FFmpeg says there what is wrong with a file, line after line; the error says enough.
            stderr=subprocess.DEVNULL,
        )


def child_environment() -> dict[str, str]:
    """Return the environment of a process that decodes what nobody vouches for: no secrets."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(place for place in sys.path if place)
    # Threads would count against the address space and be of no use for one picture.
    environment["OPENBLAS_NUM_THREADS"] = environment["OMP_NUM_THREADS"] = "1"
    return environment


class _Reader:
    """Reads one answer, by a deadline, from a process that may say anything or nothing."""

    def __init__(self, owner: DecodingProcess, pipe: IO[bytes], path: str, deadline: float) -> None:
        self._owner, self._pipe, self._path, self._deadline = owner, pipe, path, deadline
        self._rest = b""

    def line(self) -> dict[str, Any]:
        parts = [self._more()]
        size = len(parts[0])
        while b"\n" not in parts[-1]:
            parts.append(self._more())
            size += len(parts[-1])
            if size > LONGEST_LINE:
                raise self.nonsense()
        text, _, self._rest = b"".join(parts).partition(b"\n")
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise self.nonsense()
        return told

    def pixels(self, count: int) -> bytearray:
        buffer = bytearray(self._rest)
        while len(buffer) < count:
            buffer += self._more()
        if len(buffer) > count:
            raise self.nonsense()
        return buffer

    def _more(self) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
            self._owner.close()
            raise DecodingLimitError(
                self._path, f"took longer than {self._owner.seconds:.0f} s to be decoded"
            )
        data = os.read(self._pipe.fileno(), 2**20)
        if not data:
            raise self.died()
        return data

    def died(self) -> VideoError:
        self._owner.close()
        return DecodingLimitError(self._path, "the process that decoded it died of it")

    def nonsense(self) -> VideoError:
        self._owner.close()
        return DecodingLimitError(self._path, "the process that decoded it answered nonsense")
