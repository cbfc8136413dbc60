"""Pictures of a source that never ends: a camera's RTSP, a stream over HTTP, a file still growing.

Decoding runs in a thread of its own and hands over through a short queue. Whoever looks at the
pictures slower than they come misses some, the oldest first, and is told how many; the delay stays
that of the queue, and so does the memory.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from exvad.video.container import VIDEO_FORMATS, VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
RTSP_TIMEOUT = 10.0
POLL_SECONDS = 0.1
STEP = 1e-3  # seconds: time never stands still


class Readable(Protocol):
    """Bytes as they come; `read` waits for some, and returns none at the end."""

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        ...


Opener = Callable[[threading.Event], AbstractContextManager["Readable | str"]]


@dataclass(frozen=True)
class LiveFrame:
    """One picture of a stream.

    Args:
        frame: RGB, uint8 [H, W, 3].
        time: seconds since the stream began; goes on growing over an interruption.
        came: when it was decoded, in seconds since 1970.
    """

    frame: NDArray[np.uint8]
    time: float
    came: float = 0.0


@dataclass(frozen=True)
class Notice:
    """Something about the stream itself.

    Args:
        kind: `connected`, `lost`, `dropped` (pictures that nobody had the time for) or `ended`.
        text: what happened.
        count: pictures that were dropped.
    """

    kind: str
    text: str
    count: int = 0


class LiveSource:
    """A source that is opened, read, and opened again when it breaks.

    Args:
        open: opens the source: gives its bytes, or an address that FFmpeg opens itself.
        name: how it is called in notices.
        stride: frames per picture.
        short_side: larger pictures are scaled down to this many pixels.
        ahead: pictures that may wait; more replace the oldest.
        lives: how often a source that broke off without a single picture is opened again, in a
            row; None for ever.
        ends: whether the end of the bytes is the end of the stream, as it is of a file.
        since: seconds the stream has been watched for already.
    """

    def __init__(
        self,
        open: Opener,
        name: str,
        stride: int,
        short_side: int,
        ahead: int = 64,
        lives: int | None = None,
        ends: bool = False,
        since: float = 0.0,
    ) -> None:
        self.open, self.name = open, name
        self.stride, self.short_side, self.ahead = stride, short_side, ahead
        self.lives, self.ends, self.since = lives, ends, since

    def follow(self, stopped: threading.Event) -> Iterator[list[LiveFrame] | Notice]:
        """Yield what has come in since the last time, until the stream ends or is stopped.

        Args:
            stopped: set it to end; a read that is under way is not waited for.
        """
        hall = FrameBuffer(self.ahead)
        thread = threading.Thread(target=self._read, args=(hall, stopped), daemon=True)
        thread.start()
        while not stopped.is_set():
            found = hall.take(POLL_SECONDS)
            yield from found
            if not found and not thread.is_alive():
                return

    def _read(self, hall: FrameBuffer, stopped: threading.Event) -> None:
        began, failures, last = time.monotonic() - self.since, 0, self.since - STEP
        while not stopped.is_set():
            # A source may be read faster than it plays: time goes on from wherever it is.
            base, seen = max(time.monotonic() - began, last + STEP), 0
            try:
                for picture in self._pictures(base, stopped, hall):
                    seen, last = seen + 1, picture.time
                    hall.put(picture)
                    if stopped.is_set():
                        return
                reason = "it ended"
                if self.ends:
                    hall.tell(Notice("ended", f"{self.name}: {reason}"))
                    return
            except ValueError as error:
                reason = error.reason if isinstance(error, VideoError) else str(error)
            failures = 0 if seen else failures + 1
            if self.lives is not None and failures > self.lives:
                hall.tell(Notice("ended", f"{self.name}: given up, {reason}"))
                return
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            hall.tell(Notice("lost", f"{self.name}: {reason}; tried again in {pause:.0f} s"))
            stopped.wait(pause)

    def _pictures(
        self, base: float, stopped: threading.Event, hall: FrameBuffer
    ) -> Iterator[LiveFrame]:
        import av
        from av.video.reformatter import VideoReformatter

        reformatter = VideoReformatter()
        clock = _Clock(base)
        with self.open(stopped) as source:
            address = isinstance(source, str)
            # By default FFmpeg looks at five seconds before it hands out the first picture.
            options = {"analyzeduration": "500000", "fpsprobesize": "0"}
            if address:
                options["rtsp_transport"] = "tcp"
            else:
                options["format_whitelist"] = VIDEO_FORMATS
            allowed = "rtsp,rtp,tcp,udp" if address else ""
            try:
                with av.open(
                    source,
                    container_options={**options, "protocol_whitelist": allowed},
                    timeout=RTSP_TIMEOUT if address else None,
                    metadata_errors="replace",
                ) as container:
                    if not container.streams.video:
                        raise VideoError(self.name, "has no pictures")
                    stream = container.streams.video[0]
                    hall.tell(Notice("connected", "the source is open"))
                    for number, frame in enumerate(_frames(container, stream)):
                        if stopped.is_set():
                            return
                        if number % self.stride:
                            continue
                        seconds = clock.read(frame.time)
                        scale = min(1.0, self.short_side / min(frame.width, frame.height))
                        small = reformatter.reformat(
                            frame,
                            width=max(1, round(frame.width * scale)),
                            height=max(1, round(frame.height * scale)),
                            format="rgb24",
                            interpolation="AREA",
                        )
                        pixels = np.asarray(small.to_ndarray(), np.uint8)
                        yield LiveFrame(pixels, seconds, time.time())
            except (av.error.FFmpegError, OSError) as error:
                raise VideoError(self.name, f"broke off ({error.strerror or error})") from None


def growing_file(path: Path, idle_seconds: float = 30) -> Opener:
    """Return what opens a file that something still writes to.

    Args:
        path: MPEG-TS, Matroska, fragmented MP4: a container that can be read while it grows.
        idle_seconds: without a new byte for so long, the file has ended.
    """

    @contextmanager
    def open(stopped: threading.Event) -> Iterator[Readable]:
        try:
            with path.open("rb") as file:
                yield _Tail(file, idle_seconds, stopped)
        except OSError as error:
            raise VideoError(path.name, f"can't be read ({error.strerror})") from None

    return open


class _Tail:
    """Reads a file and waits at its end for more."""

    def __init__(self, file: Any, idle_seconds: float, stopped: threading.Event) -> None:
        self._file, self._idle, self._stopped = file, idle_seconds, stopped

    def read(self, size: int = -1) -> bytes:
        until = time.monotonic() + self._idle
        while not self._stopped.is_set():
            data: bytes = self._file.read(size)
            if data or time.monotonic() > until:
                return data
            self._stopped.wait(POLL_SECONDS)
        return b""


class _Clock:
    """Seconds since the stream began, by the pictures' own times as far as these make sense."""

    def __init__(self, base: float) -> None:
        self._base, self._began = base, time.monotonic()
        self._first: float | None = None
        self._last = base - STEP

    def read(self, own: float | None) -> float:
        if own is not None:
            self._first = own if self._first is None else self._first
            seconds = self._base + own - self._first
        else:
            seconds = self._base + time.monotonic() - self._began
        # A camera that sets its clock back must not turn time around.
        self._last = max(seconds, self._last + STEP)
        return self._last


class FrameBuffer:
    """Where pictures wait, a few at most, and notices."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pictures: deque[LiveFrame] = deque()
        self._notices: list[Notice] = []
        self._dropped = 0
        self._came = threading.Condition()

    def put(self, picture: LiveFrame) -> None:
        with self._came:
            self._pictures.append(picture)
            if len(self._pictures) > self._size:
                self._pictures.popleft()
                self._dropped += 1
            self._came.notify()

    def tell(self, notice: Notice) -> None:
        with self._came:
            self._notices.append(notice)
            self._came.notify()

    def take(self, seconds: float) -> list[list[LiveFrame] | Notice]:
        with self._came:
            if not self._pictures and not self._notices:
                self._came.wait(seconds)
            told: list[list[LiveFrame] | Notice] = []
            # Pictures came before a notice of the end, and after one of the beginning.
            begun = [notice for notice in self._notices if notice.kind == "connected"]
            others = [notice for notice in self._notices if notice.kind != "connected"]
            if self._dropped:
                text = f"{self._dropped} pictures were left out, to keep up with the stream"
                others.insert(0, Notice("dropped", text, self._dropped))
            told += begun
            if self._pictures:
                told.append(list(self._pictures))
            told += others
            self._pictures.clear()
            self._notices, self._dropped = [], 0
            return told


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    import av

    # PyAV looks in vain for a stream that began later than FFmpeg looked ahead (see read_packets).
    with suppress(IndexError):
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue  # a damaged picture of a live stream is gone; the next one comes anyway
