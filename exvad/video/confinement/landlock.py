"""Landlock: a process gives up the file system, TCP, and signals to others, without any right.

The kernel has it from 5.13; TCP from 6.7, signals and abstract sockets from 6.12.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from exvad.video.confinement.kernel import call

# These numbers are the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_NET_PORT = 2  # the type of a rule
_BIND_TCP, _CONNECT_TCP = 1, 2
_TCP_VERSION, _SCOPES_VERSION = 4, 6
_SCOPES = 0b11  # abstract Unix sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PortRule(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def landlock_version() -> int:
    """Return the version of the kernel's Landlock; 0 without it."""
    try:
        return call("syscall", _CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def give_up_files(ports: Sequence[int] = ()) -> bool:
    """Give up every file that is not open yet, and as much of TCP as the kernel can take.

    It can't be undone, and holds for child processes. It needs `forbid_new_privileges` first.

    Args:
        ports: TCP ports to which this process may still connect.

    Returns:
        Whether it worked; False where the kernel has no Landlock.
    """
    version = landlock_version()
    if not version:
        return False
    # The rights that each version added: 13, then one each for moving, truncating and devices.
    rights = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    ruleset = _Ruleset(handled_access_fs=(1 << rights) - 1)
    if version >= _TCP_VERSION:
        ruleset.handled_access_net = _BIND_TCP | _CONNECT_TCP
    if version >= _SCOPES_VERSION:
        ruleset.scoped = _SCOPES
    size = 8 if version < _TCP_VERSION else 16 if version < _SCOPES_VERSION else 24
    try:
        ruleset_fd = call("syscall", _CREATE_RULESET, ctypes.byref(ruleset), size, 0)
        for port in ports if version >= _TCP_VERSION else ():
            rule = _PortRule(_CONNECT_TCP, port)
            call("syscall", _ADD_RULE, ruleset_fd, _NET_PORT, ctypes.byref(rule), 0)
        call("syscall", _RESTRICT_SELF, ruleset_fd, 0)
        call("close", ruleset_fd)
    except OSError:
        return False
    return True
