"""The child process of `stream_process.py`: opens one live source for the process that decodes it.

The parent sends the source as a line of JSON on standard input. The arguments of a process are
visible to every user of the machine, and the URL of a camera may contain a password. This process
has the network and the files, but no FFmpeg reads in it. It forks the one that decodes, which has
neither (`stream_reader.py`), and which writes to standard output: lines of JSON, a notice or the
head of a frame, and then its pixels.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2 as httpx

from exvad.data.storage.errors import reason_of
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.camera_login import CameraLogin
from exvad.serving.sources.camera_url import has_login, is_web_url
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.hls import (
    BYTE_ORDER_MARK,
    HlsReader,
    Position,
    is_playlist,
    read_rest,
    read_start,
)
from exvad.serving.sources.rtsp_relay import CameraAddress, serve
from exvad.serving.sources.stream_reader import MAX_MESSAGE, SourceSpec, read_source
from exvad.video.sandbox_child import limit_resources
from exvad.video.sandbox_warmup import warm_up

PAGE_MARKS = (b"<!doctype", b"<html")


def main() -> None:
    """Open the source that standard input names, as often as the forked process asks for it."""
    spec = SourceSpec(**json.loads(sys.stdin.buffer.readline()))
    warm_up()
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    reader = os.fork()
    if not reader:
        control.close()
        run_reader(theirs, spec, parent)
    theirs.close()
    if spec.recording is not None:
        os.close(spec.recording)
    os.dup2(2, 1)  # the end of the reader has to be the end of standard output
    limit_resources(spec.max_bytes)
    threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
    SourceServer(control, spec).run()
    os.waitpid(reader, 0)


def run_reader(control: socket.socket, spec: SourceSpec, parent: int) -> None:
    """Read the source in this process, and end.

    Args:
        control: connection to the parent.
        spec: the source.
        parent: process id of the parent.
    """
    status = 1
    try:
        output = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # what a library prints must not mix with the frames
        read_source(control, output, spec, parent)
        status = 0
    finally:
        os._exit(status)


class SourceServer:
    """Opens a source whenever the process that decodes asks for it.

    Args:
        control: connection to that process.
        spec: the source.
    """

    def __init__(self, control: socket.socket, spec: SourceSpec) -> None:
        self._control, self._spec = control, spec
        settings = ServerSettings.model_validate({"url_networks": spec.networks})
        self._url, login = str(spec.url), None
        if is_web_url(self._url):
            self._url, login = CameraLogin.split(self._url)
        self._fetcher = Fetcher(settings, login=login)
        self._camera = CameraAddress("", 0)
        self._relay: socket.socket | None = None
        self._error = ""
        self._position, self._has_ended = Position(), False

    def run(self) -> None:
        """Answer until the other process ends."""
        while True:
            question, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 1)
            if not question:
                return
            if question == b"listen":
                self._relay = socket.socket(fileno=descriptors[0])
                arguments = (self._relay, lambda: self._camera, self._set_error)
                threading.Thread(target=serve, args=arguments, daemon=True).start()
            elif question == b"why":
                self._answer({"error": self._error, "ended": "yes" if self._has_ended else ""})
            else:
                self._open()

    def _open(self) -> None:
        url = self._url
        try:
            if self._spec.path is not None:
                self._hand_over(_open_file(Path(self._spec.path)))
            elif self._spec.is_rtsp:
                self._error = ""
                self._camera = asyncio.run(self._find_camera(url))
                self._answer({"address": self._local_address(url)})
            else:
                self._hand_over(self._open_body(url))
        except ValueError as error:
            self._answer({"error": str(error)})

    async def _find_camera(self, url: str) -> CameraAddress:
        host, port = await self._fetcher.resolve_rtsp(url)
        parts = urlsplit(url)
        tls_name = str(parts.hostname) if parts.scheme == "rtsps" else ""
        return CameraAddress(host, port, has_login(url), tls_name)

    def _set_error(self, problem: str) -> None:
        self._error = problem

    def _answer(self, message: dict[str, str]) -> None:
        self._control.send(json.dumps(message).encode())

    def _hand_over(self, descriptor: int) -> None:
        socket.send_fds(self._control, [b"{}"], [descriptor])
        os.close(descriptor)

    def _local_address(self, url: str) -> str:
        assert self._relay is not None
        parts = urlsplit(url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        port = self._relay.getsockname()[1]
        return urlunsplit(parts._replace(scheme="rtsp", netloc=f"{login}127.0.0.1:{port}"))

    def _open_body(self, url: str) -> int:
        """Open a URL; return a descriptor from which its body can be read.

        Raises:
            ValueError: the URL can't be fetched.
        """
        opened: Future[None] = Future()
        ours, theirs = socket.socketpair()
        self._error = ""

        def copy() -> None:
            try:
                asyncio.run(self._copy(url, ours, opened))
            except (ValueError, httpx.RequestError) as error:
                self._error = str(error) or "the connection was lost"
                if not opened.done():
                    opened.set_exception(ValueError(self._error))
            except OSError:  # the other process has closed the body
                pass
            finally:
                ours.close()

        threading.Thread(target=copy, daemon=True).start()
        try:
            opened.result()
        except ValueError:
            theirs.close()
            raise
        return theirs.detach()

    async def _copy(self, url: str, target: socket.socket, opened: Future[None]) -> None:
        async with self._fetcher.open_located(url, endless=True) as (location, parts):
            start = await read_start(parts)
            if start.removeprefix(BYTE_ORDER_MARK).lstrip().lower().startswith(PAGE_MARKS):
                raise ValueError("the URL leads to a web page, not to a stream")
            opened.set_result(None)
            if not is_playlist(start):
                target.sendall(start)
                async for part in parts:
                    target.sendall(part)
                return
            playlist = await read_rest(start, parts)
        reader = HlsReader(self._fetcher, self._spec.short_side, self._position, target.sendall)
        await reader.follow(location, playlist)
        self._has_ended = True


def _open_file(path: Path) -> int:
    """Return a descriptor of a growing file.

    Raises:
        ValueError: it can't be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(f"can't be read ({reason_of(error)})") from None


def exit_with_parent(parent: int) -> None:
    """Exit when the parent process ends, even in the middle of a read.

    Args:
        parent: process id of the parent.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
