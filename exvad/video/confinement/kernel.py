"""Calls of the Linux kernel that Python's library does not have."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9


def call(function: str, *arguments: Any) -> int:
    """Call a function of the C library.

    Args:
        function: its name.
        arguments: numbers, bytes, None for a null pointer, or objects of ctypes.

    Returns:
        Its result.

    Raises:
        OSError: the kernel refuses; also where the library has no such function.
    """
    library = ctypes.CDLL(None, use_errno=True)
    try:
        foreign = getattr(library, function)
    except AttributeError:
        raise OSError(f"the C library has no function {function}") from None
    foreign.restype = ctypes.c_long
    # A plain number would be passed as an int of 32 bits.
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(foreign(*converted))
    # Functions that return an int leave the upper half undefined.
    if ctypes.c_int(result).value == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def forbid_new_privileges() -> None:
    """Give up setuid programs for good, as unprivileged filters require.

    Raises:
        OSError: the kernel refuses.
    """
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def set_dumpable(dumpable: bool) -> None:
    """Choose whether other processes of the same user may read this one's memory and environment.

    Args:
        dumpable: whether they may.

    Raises:
        OSError: the kernel refuses.
    """
    call("prctl", _PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def end_with_parent(parent: int) -> None:
    """End this process when its parent ends.

    Args:
        parent: process id of the parent; a parent outside of this process's namespace has none.

    Raises:
        OSError: the kernel refuses.
    """
    call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() not in (0, parent):  # it has ended already
        os._exit(1)
