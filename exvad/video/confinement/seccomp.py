"""seccomp: a process gives up all system calls but a few; the others fail with EPERM."""

from __future__ import annotations

import ctypes
import errno
import platform
from collections.abc import Iterable
from typing import NamedTuple

from exvad.video.confinement.kernel import call

_PR_SET_SECCOMP, _FILTER = 22, 2
# Instructions of classic BPF, and where the kernel puts what they look at.
_LOAD, _IF_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_KILL, _ALLOW, _FAIL = 0x80000000, 0x7FFF0000, 0x00050000

# Architecture → its number for the kernel, and its column in the table below.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
# System call → number on x86_64 and on aarch64; None where there is no such call.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "lseek": (8, 62), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "mremap": (25, 216), "madvise": (28, 233),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "times": (100, 153),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94), "poll": (7, None), "ppoll": (271, 73),
    "pselect6": (270, 72),
    "set_robust_list": (273, 99), "rseq": (334, 293), "clone": (56, 220), "clone3": (435, 435),
    "socket": (41, 198), "connect": (42, 203), "sendto": (44, 206), "recvfrom": (45, 207),
    "shutdown": (48, 210), "getsockname": (51, 204), "getpeername": (52, 205),
    "setsockopt": (54, 208), "getsockopt": (55, 209), "fcntl": (72, 25),
    "recvmsg": (47, 212), "sendmsg": (46, 211),
}  # fmt: skip


class Condition(NamedTuple):
    """A condition on an argument of a system call.

    Args:
        argument: index of the argument; its lower 32 bits are looked at.
        mask: the bits that count.
        value: what they have to be.
    """

    argument: int
    mask: int
    value: int


class Rule(NamedTuple):
    """A system call that stays possible.

    Args:
        name: its name.
        conditions: what all has to be true of its arguments.
        error: fail with this number instead, for callers that then try another call.
    """

    name: str
    conditions: tuple[Condition, ...] = ()
    error: int = 0


def calls(names: str) -> tuple[Rule, ...]:
    """Return a rule for each of some names, which spaces separate."""
    return tuple(Rule(name) for name in names.split())


_CLONE_THREAD, _AF_INET, _TYPE_BITS, _SOCK_STREAM = 0x10000, 2, 0xF, 1
# Memory, time, threads, and what is open already: nothing can be opened, connected or signalled,
# and no process started. The C library tries clone, whose flags are visible, if clone3 is missing.
COMPUTE = (
    Rule("clone", (Condition(0, _CLONE_THREAD, _CLONE_THREAD),)),
    Rule("clone3", error=errno.ENOSYS),
    *calls(
        "read write readv writev pread64 lseek close mmap mprotect munmap brk mremap madvise "
        "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall futex sched_yield "
        "sched_getaffinity nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday times "
        "getpid getppid gettid getrandom exit exit_group poll ppoll pselect6 set_robust_list rseq"
    ),
)
# TCP over IPv4 to ports that Landlock allows.
TCP = (
    Rule(
        "socket",
        (Condition(0, 0xFFFFFFFF, _AF_INET), Condition(1, _TYPE_BITS, _SOCK_STREAM)),
    ),
    *calls(
        "connect sendto recvfrom shutdown getsockname getpeername setsockopt getsockopt fcntl "
        "recvmsg sendmsg"
    ),
)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def allow_only(rules: Iterable[Rule]) -> bool:
    """Give up all system calls but those of the rules.

    It can't be undone, and holds for child processes. It needs `forbid_new_privileges` first.

    Args:
        rules: what stays possible.

    Returns:
        Whether it worked; False where the kernel has no seccomp, or the architecture is unknown.
    """
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return False
    code = _assemble(rules, *known)
    instructions = (_Instruction * len(code))(*[_Instruction(*step) for step in code])
    program = _Program(len(code), instructions)
    try:
        call("prctl", _PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)
    except OSError:
        return False
    return True


def _assemble(
    rules: Iterable[Rule], architecture: int, column: int
) -> list[tuple[int, int, int, int]]:
    """Return the instructions: code, jumps if true and if false, value."""
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # another architecture's numbers mean other calls
    ]
    for rule in rules:
        number = _NUMBERS[rule.name][column]
        if number is None:
            continue
        body: list[tuple[int, int, int, int]] = []
        for argument, mask, value in rule.conditions:
            body.append((_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument))
            body.append((_AND, 0, 0, mask))
            body.append((_IF_EQUAL, 1, 0, value))
            body.append((_RETURN, 0, 0, _FAIL | errno.EPERM))
        body.append((_RETURN, 0, 0, _FAIL | rule.error if rule.error else _ALLOW))
        code += [(_LOAD, 0, 0, _NUMBER_AT), (_IF_EQUAL, 0, len(body), number), *body]
    return [*code, (_RETURN, 0, 0, _FAIL | errno.EPERM)]
