"""A decoding process in which the video `evil.mp4` has taken over the decoder.

It is the real child process, with its real confinement; only the decoder is replaced.
Run as `python -m tests.helpers.attacker SETTINGS`, by `attacking`.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from exvad.video import sandbox_child
from exvad.video.confinement import layers
from exvad.video.confinement.kernel import call
from exvad.video.sandbox_worker import Channel, answer

EVIL = "evil.mp4"
# What confines the process → the function that does it.
LAYERS = {
    "another user": "become_nobody",
    "namespaces": "enter_namespaces",
    "capabilities": "give_up_capabilities",
    "Landlock": "give_up_files",
    "seccomp": "allow_only",
}
MIB = 2**20


@dataclass(frozen=True)
class Targets:
    """What the video tries to reach.

    Args:
        files: files that it tries to read.
        folder: a folder in which it tries to write.
        pid: a process whose environment and memory it tries to read, and which it tries to signal.
        address: an address in the memory of that process.
        tcp: a port of this machine with a TCP server.
        unix: the path of a Unix server.
        abstract: the abstract name of another one.
        goal: `report` to report what it reached, `memory` to use up the memory, `time` to hang.
        without: layers of confinement to leave out.
    """

    files: tuple[str, ...]
    folder: str
    pid: int
    address: int
    tcp: int
    unix: str
    abstract: str
    goal: str = "report"
    without: tuple[str, ...] = ()


def attacking(targets: Targets) -> list[str]:
    """Return the command of such a decoding process."""
    return [sys.executable, "-m", "tests.helpers.attacker", json.dumps(asdict(targets))]


def main() -> None:
    """Run the child process of the sandbox."""
    targets = Targets(**json.loads(sys.argv[1]))

    def take_over(channel: Channel, memory: int, video: int | None) -> None:
        line = channel.read_line()
        channel._rest = line + b"\n" + channel._rest
        if json.loads(line)["name"] == EVIL:
            attack(targets, channel, video)
        answer(channel, memory, video)

    for layer in targets.without:
        patch.object(layers, LAYERS[layer], lambda *_: False).start()
    patch.object(sandbox_child, "answer", take_over).start()
    sandbox_child.main(1024 * MIB, confined=True)


def attack(targets: Targets, channel: Channel, video: int | None) -> None:
    """Do what a hostile video would do, and report it as the reason of a refusal."""
    write = Channel.write
    patch.object(Channel, "write", None).start()  # nothing of this must last
    if targets.goal == "time":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass
    if targets.goal == "memory":
        hoard = []
        while True:
            hoard.append(bytearray(16 * MIB))
    reached = " ".join(find_reached(targets, video)) or "nothing"
    write(channel, json.dumps({"error": reached}).encode() + b"\n")
    os._exit(0)


def find_reached(targets: Targets, video: int | None) -> list[str]:
    """Return the names of the attempts that succeeded."""
    return [name for name, attempt in attempts(targets, video) if _succeeds(attempt)]


def attempts(targets: Targets, video: int | None) -> Sequence[tuple[str, Callable[[], object]]]:
    """Return the attempts by name; each raises an error unless it succeeds."""
    pid = targets.pid
    return [
        *[(f"file:{Path(path).name}", lambda path=path: _read(path)) for path in targets.files],
        ("listing", lambda: list(Path(targets.folder).iterdir())),
        ("environ", lambda: _read(f"/proc/{pid}/environ")),
        ("own-environ", lambda: _read("/proc/self/environ")),
        ("mem", lambda: _read(f"/proc/{pid}/mem", targets.address)),
        ("vm", lambda: _read_memory(pid, targets.address)),
        ("vm-parent", lambda: _read_memory(os.getppid(), _own_address())),
        ("ptrace", lambda: call("ptrace", 0x4206, pid, None, None)),
        ("ptrace-parent", lambda: call("ptrace", 0x4206, os.getppid(), None, None)),
        ("signal", lambda: os.kill(pid, 0)),
        ("tcp", lambda: _connect(socket.AF_INET, ("127.0.0.1", targets.tcp))),
        ("udp", lambda: _send_udp(targets.tcp)),
        ("unix", lambda: _connect(socket.AF_UNIX, targets.unix)),
        ("abstract", lambda: _connect(socket.AF_UNIX, f"\0{targets.abstract}")),
        ("listen", lambda: socket.create_server(("127.0.0.1", 0))),
        ("write", lambda: os.open(Path(targets.folder, "written"), os.O_CREAT | os.O_WRONLY)),
        ("unlink", lambda: Path(targets.files[0]).unlink()),
        ("write-video", lambda: os.write(video or -1, b"x")),
        ("program", lambda: os.posix_spawn("/bin/true", ["true"], {})),
        ("process", _start_process),
        ("requests", _read_requests),
    ]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _read(path: str, offset: int = 0) -> bytes:
    with Path(path).open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(16)


def _own_address() -> int:
    return ctypes.addressof(_MARK)


_MARK = ctypes.create_string_buffer(b"mark", 16)


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _read_memory(pid: int, address: int) -> None:
    here, there = _Span(_own_address(), 4), _Span(address, 4)
    call("process_vm_readv", pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def _start_process() -> None:
    if not os.fork():
        os._exit(0)


def _connect(family: int, address: Any) -> None:
    with socket.socket(family) as connection:
        connection.settimeout(2)
        connection.connect(address)


def _send_udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"secret", ("127.0.0.1", port))


def _read_requests() -> None:
    """Wait for a message on the socket to the parent, which this process must not have."""
    with socket.socket(fileno=os.dup(sandbox_child.CONTROL)):
        pass


if __name__ == "__main__":
    main()
