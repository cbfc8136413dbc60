"""A live source, read in a child process with a memory limit, which contains hostile streams."""

from __future__ import annotations

import itertools
import json
import math
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import IO

import numpy as np

from exvad.serving.recording.channel import receive
from exvad.serving.recording.ring import RecordingRing
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.frame_buffer import MAX_GAPS, LiveFrame, Notice
from exvad.video.sandbox import sandbox_environment

COMMAND = [sys.executable, "-m", "exvad.serving.sources.stream_child"]
MAX_PIXELS = 2**24
MAX_LINE_BYTES = 2**16
MAX_TEXT_LENGTH = 500
MAX_FRAMES = 32  # yielded at once
POLL_SECONDS = 0.1
TICK_SECONDS = 1.0  # without frames, after which that is said
RESTART_SECONDS = 2.0
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # of issuers, for cameras with TLS


class StreamProcess:
    """Reads one source until it ends, and replaces a process that crashed.

    Args:
        spec: the source and the limits of the process.
        ring: receives all that the source sends, as it is encoded; None to record nothing.
    """

    def __init__(self, spec: SourceSpec, ring: RecordingRing | None = None) -> None:
        self._spec, self._ring = spec, ring

    def follow(self, stopped: threading.Event) -> Iterator[list[LiveFrame] | Notice]:
        """Read the source until it ends.

        Args:
            stopped: set it to end earlier.

        Yields:
            New frames, oldest first, and notices. After the first frames, an empty list says that
            no more have come for a while.
        """
        began, spec = time.monotonic(), self._spec
        while not stopped.is_set():
            process = _start(spec, self._ring)
            ended = False
            try:
                for item in _read(process, stopped):
                    ended = isinstance(item, Notice) and item.kind == "ended"
                    yield item
            except _ProtocolError:
                ended = False
            finally:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    pipe.close()
            if ended or stopped.is_set():
                return
            yield Notice("lost", f"{spec.name}: the process that reads it crashed; it is restarted")
            stopped.wait(RESTART_SECONDS)
            if spec.path is None:  # a camera goes on meanwhile; a file is read from its beginning
                watched = time.monotonic() - began
                spec = replace(spec, start_time=self._spec.start_time + watched)


class _ProtocolError(Exception):
    """The child process crashed, or its output is malformed."""


def _start(spec: SourceSpec, ring: RecordingRing | None) -> subprocess.Popen[bytes]:
    trusted = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
    with ExitStack() as passed:
        if ring is not None:
            ours, theirs = socket.socketpair()
            passed.enter_context(theirs)
            spec = replace(spec, recording=theirs.fileno())
            # It ends with the process, and may have to wait for the disk: nobody waits for it.
            threading.Thread(target=receive, args=(ours, ring), daemon=True).start()
        process = subprocess.Popen(
            COMMAND,
            env=sandbox_environment() | trusted,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[] if spec.recording is None else [spec.recording],
        )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(spec)).encode() + b"\n")
    process.stdin.flush()
    return process


def _read(
    process: subprocess.Popen[bytes], stopped: threading.Event
) -> Iterator[list[LiveFrame] | Notice]:
    """Yield what the child process writes; frames that are there already come together."""
    assert process.stdout is not None
    reader = _PipeReader(process.stdout, stopped)
    frames: list[LiveFrame] = []
    has_begun = False
    while not stopped.is_set():
        if frames and (len(frames) == MAX_FRAMES or not reader.has_data()):
            yield frames
            frames = []
        if has_begun and not reader.wait(TICK_SECONDS):
            yield []
            continue
        line = reader.read_line()
        if line is None:
            break
        item = _parse(line, reader)
        if isinstance(item, LiveFrame):
            frames.append(item)
            has_begun = True
            continue
        if frames:
            yield frames
            frames = []
        yield item
        if item.kind == "ended":
            return
    if frames:
        yield frames


def _parse(line: bytes, reader: _PipeReader) -> LiveFrame | Notice:
    """Parse and check a line of the child process, and read the pixels that follow a frame.

    Raises:
        _ProtocolError: the line makes no sense.
    """
    try:
        head = json.loads(line)
        if "notice" in head:
            kind, text, count = head["notice"]
            notice = Notice(str(kind), str(text)[:MAX_TEXT_LENGTH], int(count))
            if not 0 <= notice.count < 2**31:
                raise _ProtocolError
            return notice
        height, width = (int(side) for side in head["shape"])
        seconds, decoded_at = float(head["time"]), float(head["decoded_at"])
        gaps = tuple((float(start), float(end)) for start, end in head["gaps"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise _ProtocolError from None
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise _ProtocolError
    if not all(map(math.isfinite, [seconds, decoded_at, *itertools.chain(*gaps)])):
        raise _ProtocolError
    if len(gaps) > MAX_GAPS or any(start > end for start, end in gaps):
        raise _ProtocolError
    pixels = np.frombuffer(reader.read_exactly(height * width * 3), np.uint8)
    return LiveFrame(pixels.reshape(height, width, 3), seconds, decoded_at, gaps)


class _PipeReader:
    """Reads lines and bytes from a pipe, and stops waiting once `stopped` is set.

    Args:
        pipe: the pipe.
        stopped: set it to stop waiting.
    """

    def __init__(self, pipe: IO[bytes], stopped: threading.Event) -> None:
        self._pipe, self._stopped = pipe, stopped
        self._buffer = bytearray()

    def has_data(self) -> bool:
        """Whether there is data to read already."""
        return bool(self._buffer) or bool(select.select([self._pipe], [], [], 0)[0])

    def wait(self, seconds: float) -> bool:
        """Wait for data; False if none came, True at the end of the pipe."""
        deadline = time.monotonic() + seconds
        while not self._stopped.is_set() and not self.has_data():
            if time.monotonic() >= deadline:
                return False
            select.select([self._pipe], [], [], POLL_SECONDS)
        return True

    def read_line(self) -> bytes | None:
        """Return the next line; None at the end of the pipe, or once `stopped` is set."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise _ProtocolError
            if not self._fill():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def read_exactly(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        while len(self._buffer) < size:
            if not self._fill():
                raise _ProtocolError
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self) -> bool:
        """Wait for more data; False at the end of the pipe, or once `stopped` is set."""
        while not self._stopped.is_set():
            if select.select([self._pipe], [], [], POLL_SECONDS)[0]:
                data = os.read(self._pipe.fileno(), 2**20)
                self._buffer += data
                return bool(data)
        return False
