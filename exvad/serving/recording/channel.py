"""The way of fragments from the confined process that reads a stream to the disk.

That process has no files. It sends what it keeps through a socket to the server's own process,
which writes it and answers with its problem in words. Nothing there waits for the disk: a thread
sends, and fragments for which there is no room are dropped.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

from exvad.data.storage.errors import reason_of
from exvad.serving.recording.ring import RecordingRing
from exvad.video.footage.recorder import Fragment

MAX_WAITING_BYTES = 2**26
MAX_FRAGMENT_BYTES = 2**26
MAX_LINE = 2**12
EARLIEST, LATEST = -60.0, 2.0**40  # seconds; a frame is decoded some frames before it is shown
TOO_SLOW = "the recording has gaps: the disk is too slow"


class FragmentSender:
    """Sends fragments in a thread.

    Args:
        descriptor: the socket to the process that writes.
        report: receives a problem in words when it comes up, and a sentence when it is over.
    """

    def __init__(self, descriptor: int, report: Callable[[str], None]) -> None:
        self._descriptor, self._report = descriptor, report
        self._waiting: deque[Fragment] = deque()
        self._size = 0
        self._problem = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, fragment: Fragment) -> None:
        """Send a fragment as soon as possible; drop it if too many wait."""
        with self._changed:
            size = len(fragment.head) + len(fragment.data)
            is_full = self._size + size > MAX_WAITING_BYTES
            if not is_full:
                self._waiting.append(fragment)
                self._size += size
                self._changed.notify()
        if is_full:
            self._set_problem(TOO_SLOW)

    def wait(self, seconds: float) -> None:
        """Wait until all is written, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._size, seconds)

    def _run(self) -> None:
        with os.fdopen(self._descriptor, "r+b", buffering=0) as channel:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: bool(self._waiting))
                    fragment = self._waiting.popleft()
                try:
                    self._set_problem(_send(channel, fragment))
                except OSError:
                    self._set_problem("the recording has ended: the process that writes it has")
                    return
                finally:
                    with self._changed:
                        self._size -= len(fragment.head) + len(fragment.data)
                        self._changed.notify_all()

    def _set_problem(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._report(problem or "the recording goes on")


def receive(connection: socket.socket, ring: RecordingRing) -> None:
    """Write the fragments that a confined process sends, until it ends.

    Args:
        connection: to that process, which a hostile stream may have taken over.
        ring: the recording.
    """
    with connection, connection.makefile("rb") as channel:
        while True:
            try:
                fragment = _read_fragment(channel)
            except (ValueError, OSError):  # it ended, or sends nonsense
                return
            problem = ""
            try:
                ring.append(fragment)
            except (OSError, ValueError) as error:
                reason = reason_of(error)
                problem = f"the recording can't be written: {reason}"
            try:
                connection.sendall(json.dumps(problem).encode() + b"\n")
            except OSError:
                return


def _send(channel: IO[bytes], fragment: Fragment) -> str:
    """Send a fragment and return the problem of who writes it.

    Raises:
        OSError: the other side has ended.
    """
    head = {
        "head": len(fragment.head),
        "data": len(fragment.data),
        "start": fragment.start,
        "end": fragment.end,
        "is_key": fragment.is_key,
    }
    message = memoryview(json.dumps(head).encode() + b"\n" + fragment.head + fragment.data)
    while message:
        message = message[channel.write(message) :]
    answer = channel.readline(MAX_LINE)
    if not answer:
        raise OSError("the other side has ended")
    return str(json.loads(answer))


def _read_fragment(channel: IO[bytes]) -> Fragment:
    """Read a fragment and check its times.

    Raises:
        ValueError: it makes no sense, or the channel has ended.
    """
    try:
        message = json.loads(channel.readline(MAX_LINE))
        sizes = int(message["head"]), int(message["data"])
        start, end = float(message["start"]), float(message["end"])
        is_key = bool(message["is_key"])
    except (KeyError, TypeError, OverflowError, RecursionError):
        raise ValueError("no fragment") from None
    if min(sizes) < 1 or sum(sizes) > MAX_FRAGMENT_BYTES:
        raise ValueError("no size of a fragment")
    if not (math.isfinite(start) and math.isfinite(end)) or not EARLIEST <= start <= end < LATEST:
        raise ValueError("no time of a fragment")
    head, data = (channel.read(size) for size in sizes)
    if (len(head), len(data)) != sizes:
        raise ValueError("the channel has ended")
    return Fragment(head, data, start, end, is_key)
