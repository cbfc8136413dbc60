"""Programs in place of the sandbox's child process."""

from __future__ import annotations

import sys

_PROGRAM = """
import json, socket
control = socket.socket(fileno=0)
control.sendall(json.dumps({"layers": [], "reachable": []}).encode())
channels = []
while True:
    message, descriptors, _, _ = socket.recv_fds(control, 1, 3)
    if not message:
        break
    if descriptors:
        channel = socket.socket(fileno=descriptors[0])
        with channel.makefile() as lines:
            lines.readline()
        channel.sendall(%r)
        if %r:
            channel.shutdown(socket.SHUT_WR)
        channels.append(channel)
"""


def responding(response: str, ends: bool = False) -> list[str]:
    """Return the command of a program that sends the same response to every request.

    Args:
        response: what it sends.
        ends: whether it closes the channel then, as it has to where frames are expected.
    """
    return [sys.executable, "-c", _PROGRAM % (response.encode(), ends)]
