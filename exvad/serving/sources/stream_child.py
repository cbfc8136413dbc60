"""The child process of `stream_process.py`: reads one live source within limits.

The source comes as a line of JSON on standard input, not as an argument, which anybody on the
machine could read: a camera's address may hold its password.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2 as httpx

from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.rtsp_relay import relay
from exvad.video.live_source import LiveSource, Notice, Opener, Readable, growing_file
from exvad.video.sandbox_child import end_with


def main() -> None:
    """Tell of the source that standard input names, until it ends or nobody listens."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may pass for a picture
    asked = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_AS, (asked["max_bytes"], asked["max_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    source = LiveSource(
        opener(asked),
        asked["name"],
        asked["stride"],
        asked["short_side"],
        ends=asked["path"] is not None,
        since=asked["since"],
    )
    for found in source.follow(threading.Event()):
        if isinstance(found, Notice):
            told = {"notice": [found.kind, found.text, found.count]}
            answers.write(json.dumps(told).encode() + b"\n")
            answers.flush()
            continue
        for picture in found:
            head = {"shape": picture.frame.shape[:2], "time": picture.time, "came": picture.came}
            answers.write(json.dumps(head).encode() + b"\n" + picture.frame.tobytes())
        answers.flush()


def opener(asked: dict[str, Any]) -> Opener:
    """Return what opens the source."""
    if asked["path"] is not None:
        return growing_file(Path(asked["path"]), asked["idle_seconds"])
    url = str(asked["url"])
    fetcher = Fetcher(ServerSettings(url_networks=asked["networks"]))
    return _camera(fetcher, url) if url.startswith("rtsp:") else _http(fetcher, url)


def _camera(fetcher: Fetcher, url: str) -> Opener:
    @contextmanager
    def open(_: threading.Event) -> Iterator[str]:
        place = urlsplit(url)
        user = f"{place.netloc.rpartition('@')[0]}@" if "@" in place.netloc else ""
        with relay(*asyncio.run(fetcher.pin(url))) as port:
            yield urlunsplit(place._replace(netloc=f"{user}127.0.0.1:{port}"))

    return open


def _http(fetcher: Fetcher, url: str) -> Opener:
    @contextmanager
    def open(stopped: threading.Event) -> Iterator[Readable]:
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            parts = runner.run(stack.enter_async_context(fetcher.open(url, endless=True)))
            try:
                yield _Body(runner, parts, stopped)
            finally:
                runner.run(stack.aclose())

    return open


class _Body:
    """Reads the body of an answer that comes in parts."""

    def __init__(
        self, runner: asyncio.Runner, parts: AsyncIterator[bytes], stopped: threading.Event
    ) -> None:
        self._runner, self._parts, self._stopped = runner, parts, stopped
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return what there is, at most `size` bytes; b"" at the end."""
        while not self._rest and not self._stopped.is_set():
            try:
                part = self._runner.run(_next(self._parts))
            except httpx.RequestError as error:
                raise OSError(str(error) or "no more came") from None
            if part is None:
                return b""
            self._rest = part
        cut = len(self._rest) if size < 0 else size
        told, self._rest = self._rest[:cut], self._rest[cut:]
        return told


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)


if __name__ == "__main__":
    main()
