"""Namespaces and users: a process leaves the machine's files, network, processes and its user."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

from exvad.video.confinement.kernel import call, set_dumpable

NOBODY = 65534
_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USERS, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_RECURSIVE_PRIVATE = 0x4000 | 0x40000
_EMPTY_FLAGS = 0x2 | 0x4 | 0x8  # no setuid, no devices, no programs
_DETACH = 2
_SET_INTERFACE_FLAGS, _UP = 0x8914, 1
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPABILITIES_VERSION = 0x20080522


def become_nobody() -> bool:
    """Become the user nobody; only root can.

    Returns:
        Whether it worked.
    """
    if os.geteuid():
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False
    return True


def enter_namespaces(processes: bool = True) -> bool:
    """Enter new namespaces: without files, without a network, alone with its child processes.

    This process itself stays among the machine's processes. It must have no threads.

    Args:
        processes: whether child processes leave the machine's processes. The first one then has to
            stay while others are started.

    Returns:
        Whether it worked; False where the kernel or a container forbids it to this user.
    """
    # Some systems allow the namespaces, but nothing in them: half of it would be worse than none.
    trial = os.fork()
    if not trial:
        os._exit(0 if _enter(processes) else 1)
    return os.waitpid(trial, 0)[1] == 0 and _enter(processes)


def connect_to_itself() -> None:
    """Let this process connect to itself in its new network, which has nothing else.

    Raises:
        OSError: the kernel refuses.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sh14x", b"lo", _UP))


def give_up_capabilities() -> None:
    """Give up all capabilities: those of root, and those that new namespaces gave."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    with contextlib.suppress(OSError):  # a process may always give up
        call("capset", ctypes.byref(header), ctypes.byref(none))


def _enter(processes: bool) -> bool:
    others = _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_HOST_NAME
    others |= _NEW_PROCESSES if processes else 0
    user, group = os.geteuid(), os.getegid()
    try:
        call("unshare", _NEW_USERS | others)
    except OSError:
        return False
    # A process that changed its user can't write its own map otherwise.
    set_dumpable(True)
    try:
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _enter_empty_root()
    except OSError:
        return False
    finally:
        set_dumpable(False)
    return True


def _enter_empty_root() -> None:
    """Make an empty folder the root of this process, and leave all others.

    Raises:
        OSError: the kernel refuses.
    """
    call("mount", None, b"/", None, _RECURSIVE_PRIVATE, None)
    # Any folder will do: it is covered in this namespace only.
    call("mount", b"tmpfs", b"/proc", b"tmpfs", _EMPTY_FLAGS, b"size=4k,nr_inodes=1,mode=555")
    os.chdir("/proc")
    call("syscall", _PIVOT_ROOT[os.uname().machine], b".", b".")
    call("umount2", b".", _DETACH)
    os.chdir("/")
