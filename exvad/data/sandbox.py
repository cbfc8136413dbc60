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
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from exvad.data.video import (
    MAX_PIXELS,
    Chunk,
    DecodedChunk,
    DecodingLimitError,
    VideoError,
    VideoInfo,
)

GIB = 2**30
LONGEST_LINE = 64 * 2**20  # bytes: the plan of a video of some days
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class DecodingProcess:
    """A process that plans and decodes local video files, one question at a time.

    Args:
        max_bytes: address space it may have, code and libraries included.
        seconds: longest time for one question: a plan, or the decoding of a chunk.
        command: what is started; for tests.
    """

    def __init__(
        self, max_bytes: int = 4 * GIB, seconds: float = 120, command: list[str] | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.seconds = seconds
        module = [sys.executable, "-m", "exvad.data.sandbox_child", str(max_bytes)]
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
        """Cut a video into chunks; see `exvad.data.video.plan_chunks`.

        Raises:
            VideoError: it is no video that can be read, or reading it takes too long or too much.
        """
        if "://" in str(path):
            raise ValueError(f"{path}: only local files are decoded in a process of their own")
        asked = [video_id, str(path), stride, snippets_per_chunk]
        with self._lock:
            told, reader = self._ask(str(path), "plan", asked)
        try:
            info = VideoInfo(
                **{field.name: told["info"][field.name] for field in fields(VideoInfo)}
            )
            chunks = [Chunk.from_row(row) for row in told["chunks"]]
        except (KeyError, TypeError, ValueError):
            raise reader.nonsense() from None
        return info, chunks

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.data.video.decode_chunk`.

        Raises:
            VideoError: none of it can be decoded, or decoding takes too long or too much.
        """
        with self._lock:
            told, reader = self._ask(chunk.path, "decode", [chunk.to_row(), short_side])
            shape, times = _checked_shape(told, chunk)
            if shape is None:
                self.close()
                raise reader.nonsense()
            pixels = reader.pixels(math.prod(shape))
        frames = np.frombuffer(pixels, np.uint8).reshape(shape)
        return DecodedChunk(frames, times, [str(each) for each in told["problems"]])

    def _ask(self, path: str, what: str, arguments: list[Any]) -> tuple[dict[str, Any], _Reader]:
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
        if "error" in told:
            raise VideoError(path, str(told["error"][1]))
        if "memory" in told:
            raise DecodingLimitError(
                path, f"needs more than {self.max_bytes / GIB:.1f} GiB to be decoded"
            )
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
                self._owner.close()
                raise self.nonsense()
        text, _, self._rest = b"".join(parts).partition(b"\n")
        try:
            told = json.loads(text)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            self._owner.close()
            raise self.nonsense()
        return told

    def pixels(self, count: int) -> bytearray:
        buffer = bytearray(self._rest)
        while len(buffer) < count:
            buffer += self._more()
        if len(buffer) > count:
            self._owner.close()
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
        return DecodingLimitError(self._path, "the process that decoded it answered nonsense")


def _checked_shape(
    told: dict[str, Any], chunk: Chunk
) -> tuple[tuple[int, ...] | None, np.ndarray[Any, Any]]:
    """Return the shape and the times a chunk's pictures have, None if they can't be that."""
    try:
        shape = tuple(int(side) for side in told["shape"])
        times = np.asarray(told["times"], np.float64)
        told["problems"] = list(told["problems"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None, np.empty(0)
    fits = len(shape) == 4 and min(shape) >= 1 and shape[3] == 3
    fits = fits and shape[0] == len(times) <= chunk.num_snippets
    return (shape if fits and shape[1] * shape[2] <= MAX_PIXELS else None), times
