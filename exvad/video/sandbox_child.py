"""The child process of `sandbox.py`: confines itself, then forks a process for each request.

It never looks at a video itself, so that no video can take it over, and no process of a video sees
the next one. A request arrives as open files: the channel to whoever asks, and the video, unless
the channel carries that too. Everything is imported before: afterwards no file can be opened.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys

from exvad.video.confinement.kernel import end_with_parent
from exvad.video.confinement.layers import confine, leave_machine
from exvad.video.confinement.trial import find_reachable
from exvad.video.sandbox_warmup import warm_up
from exvad.video.sandbox_worker import Channel, answer

CONTROL = 0  # the descriptor of the socket to the parent


def main(max_bytes: int, confined: bool) -> None:
    """Answer requests until the parent closes the control socket.

    Args:
        max_bytes: limit of the address space.
        confined: whether to leave the machine; limits apply in any case.
    """
    warm_up()
    limit_resources(max_bytes)
    owner = os.getppid()
    layers = leave_machine() if confined else []
    parent = os.getpid()
    others = [] if "namespaces" in layers else [owner]  # it has no number there
    if child := os.fork():
        os.close(CONTROL)
        # It has to be waited for here: not every container has an init that does it.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
        os.waitpid(child, 0)
        return
    end_with_parent(parent)
    with socket.socket(fileno=CONTROL) as control:
        serve(control, layers, confined, others)


def limit_resources(max_bytes: int) -> None:
    """Limit the memory of this process, and let it write no file.

    Args:
        max_bytes: limit of the address space.
    """
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def serve(control: socket.socket, layers: list[str], confined: bool, others: list[int]) -> None:
    """Report the confinement, then fork a process for each request, one at a time.

    Args:
        control: socket to the parent. A message with open files is a request; any message ends
            the process of the request before.
        layers: layers of confinement that are in force already.
        confined: whether to confine the processes.
        others: ids of processes that must be out of reach, beside this one.
    """
    gc.freeze()  # a collection in a fork would copy the pages of all that was imported
    control.sendall(try_out(layers, confined, [os.getpid(), *others]))
    worker = 0
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 3)
        if worker:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            worker = 0
        if not message:
            return
        if not descriptors:
            continue
        parent = os.getpid()
        worker = os.fork()
        if not worker:
            control.close()
            run_worker(descriptors, confined, parent)
        for descriptor in descriptors:
            os.close(descriptor)


def run_worker(descriptors: list[int], confined: bool, parent: int) -> None:
    """Confine this process, answer one request, and end.

    Args:
        descriptors: the channel, the memory for frames, and the video, unless it comes through the
            channel.
        confined: whether to confine the process.
        parent: process id of the parent.
    """
    status = 1
    try:
        end_with_parent(parent)
        if confined:
            confine()
        channel, memory, *video = descriptors
        answer(Channel(channel), memory, video[0] if video else None)
        status = 0
    finally:
        os._exit(status)


def try_out(layers: list[str], confined: bool, processes: list[int]) -> bytes:
    """Return the report of the confinement, from a process that is confined like all others."""
    reading, writing = os.pipe()
    trial = os.fork()
    if not trial:
        try:
            found = [*layers, *(confine() if confined else [])]
            report = {"layers": found, "reachable": find_reachable(processes)}
            os.write(writing, json.dumps(report).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(trial, 0)
    return content


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] != "off")
