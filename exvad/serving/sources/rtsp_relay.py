"""Between FFmpeg and a camera: FFmpeg would go wherever the camera sends it, and must not.

The relay listens on this machine, connects to the one address that was checked, and passes on what
both say. It follows the camera's words (RTSP 1.0, with pictures interleaved) and breaks off at a
redirection, or at anything else that is no RTSP.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

TIMEOUT = 30.0
LONGEST_HEAD = 2**16
LARGEST_BODY = 2**20
STATUS = re.compile(rb"RTSP/1\.[01] (\d{3})\b")
LENGTH = re.compile(rb"^content-length:\s*(\d{1,7})\s*$", re.I | re.M)


class BrokenTalkError(ValueError):
    """The camera says what can't be passed on."""


@contextmanager
def relay(host: str, port: int) -> Iterator[int]:
    """Give a port of this machine that leads to a camera and nowhere else.

    Args:
        host: the camera's address, which was checked.
        port: its port.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, host, port), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, host: str, port: int) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # closed: nobody wants it any more
            return
        threading.Thread(target=_talk, args=(client, host, port), daemon=True).start()


def _talk(client: socket.socket, host: str, port: int) -> None:
    with client:
        try:
            camera = socket.create_connection((host, port), TIMEOUT)
        except OSError:
            return
        with camera:
            asking = threading.Thread(target=_copy, args=(client, camera), daemon=True)
            asking.start()
            try:
                with camera.makefile("rb") as words:
                    pass_on(words, client.sendall)
            except (BrokenTalkError, OSError):
                pass
            for side in (client, camera):
                _shut(side)
            asking.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(2**16):
            target.sendall(data)
    except OSError:
        pass
    _shut(target)


def _shut(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is shut already
        return


def pass_on(words: IO[bytes], send: Callable[[bytes], None]) -> None:
    """Pass on what a camera says until it falls silent.

    Args:
        words: of the camera.
        send: takes them.

    Raises:
        BrokenTalkError: it redirects, or does not speak RTSP.
    """
    while first := words.read(1):
        if first == b"$":  # a packet of pictures: channel, length, and so many bytes
            head = _exactly(words, 3)
            send(first + head + _exactly(words, int.from_bytes(head[1:], "big")))
            continue
        head = first
        while not head.endswith(b"\r\n\r\n"):
            line = words.readline(LONGEST_HEAD)
            head += line
            if not line or len(head) > LONGEST_HEAD:
                raise BrokenTalkError("an answer without end")
        status = STATUS.match(head)
        if status is None or status[1].startswith(b"3"):
            raise BrokenTalkError("no answer, or one that leads elsewhere")
        length = LENGTH.search(head.replace(b"\r\n", b"\n"))
        size = 0 if length is None else int(length[1])
        if size > LARGEST_BODY:
            raise BrokenTalkError("too long an answer")
        send(head + _exactly(words, size))


def _exactly(words: IO[bytes], size: int) -> bytes:
    data = words.read(size)
    if len(data) < size:
        raise BrokenTalkError("broke off")
    return data
