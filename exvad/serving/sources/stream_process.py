"""A live source, read in a process of its own with a limit on memory: what it does stays there."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from exvad.video.live_source import LiveFrame, Notice
from exvad.video.sandbox import child_environment

MOST_PIXELS = 2**24
LONGEST_LINE = 2**16
LONGEST_TEXT = 500
MOST_AT_ONCE = 32
POLL_SECONDS = 0.1
PAUSE_SECONDS = 2.0


class StreamProcess:
    """Reads one source until it ends; a process that dies of it is replaced.

    Args:
        asked: of `exvad.serving.sources.stream_child`: the source and its limits.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked

    def follow(self, stopped: threading.Event) -> Iterator[list[LiveFrame] | Notice]:
        """Yield what comes in, until the source ends or `stopped` is set."""
        began, asked = time.monotonic(), dict(self._asked)
        while not stopped.is_set():
            process = _start(asked)
            try:
                ended = False
                for found in _read(process, stopped):
                    ended = isinstance(found, Notice) and found.kind == "ended"
                    yield found
            except _BrokenError:
                ended = False
            finally:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    pipe.close()
            if ended or stopped.is_set():
                return
            yield Notice("lost", f"{asked['name']}: the process that read it died of it")
            stopped.wait(PAUSE_SECONDS)
            if asked["path"] is None:
                asked["since"] = self._asked["since"] + time.monotonic() - began


class _BrokenError(Exception):
    """The process has died, or says what makes no sense."""


def _start(asked: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "exvad.serving.sources.stream_child"],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    return process


def _read(
    process: subprocess.Popen[bytes], stopped: threading.Event
) -> Iterator[list[LiveFrame] | Notice]:
    assert process.stdout is not None
    reader = _Reader(process.stdout, stopped)
    pictures: list[LiveFrame] = []
    while not stopped.is_set():
        if pictures and (len(pictures) == MOST_AT_ONCE or not reader.ready()):
            yield pictures
            pictures = []
        line = reader.line()
        if line is None:
            break
        found = _parsed(line, reader)
        if isinstance(found, LiveFrame):
            pictures.append(found)
            continue
        if pictures:
            yield pictures
            pictures = []
        yield found
        if found.kind == "ended":
            return
    if pictures:
        yield pictures


def _parsed(line: bytes, reader: _Reader) -> LiveFrame | Notice:
    try:
        told = json.loads(line)
        if "notice" in told:
            kind, text, dropped = told["notice"]
            notice = Notice(str(kind), str(text)[:LONGEST_TEXT], int(dropped))
            if not 0 <= notice.count < 2**31:
                raise _BrokenError
            return notice
        height, width = (int(side) for side in told["shape"])
        seconds, came = float(told["time"]), float(told["came"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise _BrokenError from None
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise _BrokenError
    if not (math.isfinite(seconds) and math.isfinite(came)):
        raise _BrokenError
    pixels = reader.exactly(height * width * 3)
    return LiveFrame(np.frombuffer(pixels, np.uint8).reshape(height, width, 3), seconds, came)


class _Reader:
    """Reads lines and bytes from a pipe without ever waiting past `stopped`."""

    def __init__(self, pipe: IO[bytes], stopped: threading.Event) -> None:
        self._pipe, self._stopped = pipe, stopped
        self._rest = bytearray()

    def ready(self) -> bool:
        """Tell whether more has come already."""
        return bool(self._rest) or bool(select.select([self._pipe], [], [], 0)[0])

    def line(self) -> bytes | None:
        """Return the next line; None at the end, or where waiting was stopped."""
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > LONGEST_LINE:
                raise _BrokenError
            if not self._more():
                return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        while len(self._rest) < size:
            if not self._more():
                raise _BrokenError
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    def _more(self) -> bool:
        while not self._stopped.is_set():
            if select.select([self._pipe], [], [], POLL_SECONDS)[0]:
                data = os.read(self._pipe.fileno(), 2**20)
                self._rest += data
                return bool(data)
        return False
