"""The child process of `stream_process.py`: reads one live source within a memory limit.

The parent sends the source as a line of JSON on standard input. The arguments of a process are
visible to every user of the machine, and the URL of a camera may contain a password. The child
writes lines of JSON to standard output: a notice, or the head of a frame and then its pixels.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import httpx2 as httpx

from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.rtsp_relay import relay
from exvad.video.frame_buffer import Notice
from exvad.video.live_source import LiveSource, Opener, Readable, growing_file
from exvad.video.sandbox_child import exit_with_parent


@dataclass(frozen=True)
class SourceSpec:
    """A live source and the limits of the process that reads it.

    Args:
        name: name of the source in notices.
        url: rtsp, http or https; None for a file.
        path: a growing file; None for a URL.
        stride: every how many frames one is read.
        short_side: larger frames are scaled down to so many pixels.
        networks: private networks that the URL may lead to.
        idle_seconds: a file that has not grown for so long has ended.
        max_bytes: address space of the process.
        start_time: seconds since the stream began, if it was watched before.
        stride_seconds: one frame in so many seconds is read, in place of `stride`; 0 to count
            frames.
    """

    name: str
    url: str | None
    path: str | None
    stride: int
    short_side: int
    networks: list[str]
    idle_seconds: float
    max_bytes: int
    start_time: float
    stride_seconds: float = 0.0


def main() -> None:
    """Read the source that standard input names, and write its frames and notices."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the frames
    spec = SourceSpec(**json.loads(sys.stdin.buffer.readline()))
    resource.setrlimit(resource.RLIMIT_AS, (spec.max_bytes, spec.max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
    source = LiveSource(
        make_opener(spec),
        spec.name,
        spec.stride,
        spec.short_side,
        ends_with_data=spec.path is not None,
        start_time=spec.start_time,
        stride_seconds=spec.stride_seconds,
    )
    for item in source.follow(threading.Event()):
        if isinstance(item, Notice):
            _write_line(output, {"notice": [item.kind, item.text, item.count]})
        else:
            for frame in item:
                shape, decoded_at = frame.frame.shape[:2], frame.decoded_at
                _write_line(output, {"shape": shape, "time": frame.time, "decoded_at": decoded_at})
                output.write(frame.frame.tobytes())
        output.flush()


def make_opener(spec: SourceSpec) -> Opener:
    """Return a function that opens the source; see `LiveSource`."""
    if spec.path is not None:
        return growing_file(Path(spec.path), spec.idle_seconds)
    url = str(spec.url)
    fetcher = Fetcher(ServerSettings.model_validate({"url_networks": spec.networks}))
    return _rtsp_opener(fetcher, url) if url.startswith("rtsp:") else _http_opener(fetcher, url)


def _write_line(output: IO[bytes], message: Mapping[str, object]) -> None:
    output.write(json.dumps(message).encode() + b"\n")


def _rtsp_opener(fetcher: Fetcher, url: str) -> Opener:
    @contextmanager
    def open_source(_: threading.Event) -> Iterator[str]:
        parts = urlsplit(url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        with relay(*asyncio.run(fetcher.resolve_rtsp(url))) as port:
            yield urlunsplit(parts._replace(netloc=f"{login}127.0.0.1:{port}"))

    return open_source


def _http_opener(fetcher: Fetcher, url: str) -> Opener:
    @contextmanager
    def open_source(stopped: threading.Event) -> Iterator[Readable]:
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            parts = runner.run(stack.enter_async_context(fetcher.open(url, endless=True)))
            try:
                yield _HttpBody(runner, parts, stopped)
            finally:
                runner.run(stack.aclose())

    return open_source


class _HttpBody:
    """The body of an HTTP response as a file.

    Args:
        runner: runs the coroutines of the response.
        parts: the body in parts.
        stopped: set it to end the body.
    """

    def __init__(
        self, runner: asyncio.Runner, parts: AsyncIterator[bytes], stopped: threading.Event
    ) -> None:
        self._runner, self._parts, self._stopped = runner, parts, stopped
        self._unread = b""

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes as soon as there are any; b"" at the end."""
        while not self._unread and not self._stopped.is_set():
            try:
                part = self._runner.run(_next_part(self._parts))
            except httpx.RequestError as error:
                raise OSError(str(error) or "the connection was lost") from None
            if part is None:
                return b""
            self._unread = part
        end = len(self._unread) if size < 0 else size
        data, self._unread = self._unread[:end], self._unread[end:]
        return data


async def _next_part(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)


if __name__ == "__main__":
    main()
