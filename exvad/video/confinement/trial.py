"""A trial from inside a confinement: what a process that is taken over could still reach."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial

from exvad.video.confinement.kernel import call

_DISCARD_PORT = 9  # nothing is sent there
_BAD_ADDRESS = 14


def find_reachable(processes: Sequence[int]) -> list[str]:
    """Try to reach what must be out of reach.

    Args:
        processes: ids of processes whose memory must be out of reach.

    Returns:
        What could be reached; see `exvad.video.confinement.layers.TARGETS`.
    """
    reachable = []
    if _succeeds(_open_file):
        reachable.append("files")
    if _succeeds(_find_route):
        reachable.append("network")
    if any(_succeeds(partial(_read_memory, pid)) for pid in processes):
        reachable.append("other processes")
    return reachable


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _open_file() -> None:
    os.close(os.open(sys.executable, os.O_RDONLY))


def _find_route() -> None:
    # Connecting UDP sends nothing. It fails without a route, even to this machine itself.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", _DISCARD_PORT))


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _read_memory(pid: int) -> None:
    # A process that is out of reach is refused before the address is looked at.
    content = ctypes.create_string_buffer(1)
    here = _Span(ctypes.addressof(content), 1)
    try:
        call("process_vm_readv", pid, ctypes.byref(here), 1, ctypes.byref(here), 1, 0)
    except OSError as error:
        if error.errno != _BAD_ADDRESS:
            raise
