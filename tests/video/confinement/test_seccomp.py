"""The numbers of system calls are those of the kernel's headers, on both architectures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exvad.video.confinement.seccomp import _NUMBERS, COMPUTE, TCP

HEADERS = (
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm-generic/unistd.h"),  # aarch64 has these
)
FORBIDDEN = {
    "open", "openat", "openat2", "creat", "execve", "execveat", "fork", "vfork", "kill", "tgkill",
    "tkill", "ptrace", "process_vm_readv", "process_vm_writev", "socket", "connect", "bind",
    "prctl", "seccomp", "unshare", "setns", "mount", "ioctl", "recvmsg", "sendmsg", "memfd_create",
    "io_uring_setup", "bpf", "perf_event_open", "keyctl", "userfaultfd", "pidfd_getfd",
}  # fmt: skip


@pytest.mark.parametrize("column", [0, 1])
def test_numbers_are_those_of_the_headers(column: int) -> None:
    header = HEADERS[column]
    if not header.exists():
        pytest.skip(f"the kernel's headers are not installed: {header}")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    expected = {name: int(number) for name, number in found}
    numbers = {name: numbers[column] for name, numbers in _NUMBERS.items()}
    assert numbers == {name: expected.get(name) for name in _NUMBERS}


def test_rules_leave_no_way_out() -> None:
    assert {rule.name for rule in COMPUTE} & FORBIDDEN == set()
    assert all(rule.conditions for rule in COMPUTE if rule.name == "clone")
    assert all(rule.conditions for rule in TCP if rule.name == "socket")
    assert "bind" not in {rule.name for rule in TCP}
