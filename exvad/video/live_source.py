"""Frames of a live source: an RTSP camera, a stream over HTTP, or a file that still grows.

A thread of its own decodes and fills a short buffer. If frames come faster than they are taken, the
oldest are dropped and counted, so delay and memory are bounded by the buffer.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from exvad.data.storage.errors import reason_of
from exvad.video.container import (
    CLOCK_OPTIONS,
    DEFAULT_FPS,
    VIDEO_FORMATS,
    VideoError,
    choose_stream,
)
from exvad.video.footage.picture import GeometryReader, to_rgb
from exvad.video.footage.recorder import Recorder
from exvad.video.footage.sampling import Sampling
from exvad.video.footage.stream_clock import MIN_STEP, StreamClock
from exvad.video.frame_buffer import MAX_GAPS, FrameBuffer, Gaps, LiveFrame, Notice

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
RTSP_TIMEOUT = 10.0
POLL_SECONDS = 0.1
STREAM_ANALYSIS, FILE_ANALYSIS = "500000", "2000000"  # microseconds, before the first frame


class Readable(Protocol):
    """A source of bytes that arrive over time."""

    def read(self, size: int = -1) -> bytes:
        """Wait for data and return at most `size` bytes; b"" at the end."""
        ...


Opener = Callable[[threading.Event], AbstractContextManager["Readable | str"]]


class LiveSource:
    """A source that is opened, read, and opened again when the connection breaks.

    Args:
        open: opens the source: returns its bytes, or an address that FFmpeg opens itself.
        name: name of the source in notices.
        stride: every `stride`-th frame is yielded.
        short_side: larger frames are scaled down to this many pixels on the shorter side.
        buffer_size: maximum number of waiting frames; further frames replace the oldest.
        max_retries: how often in a row a source without a single frame is opened again; None for
            no limit.
        ends_with_data: whether the end of the bytes is the end of the stream, as for a file.
        start_time: seconds since the stream began, if it was watched before.
        stride_seconds: one frame in so many seconds is yielded, in place of `stride`; 0 to count
            frames.

    Attributes:
        recorder: receives all packets; None to record nothing.
        ended: set it where the end of the bytes turns out to be the end of the stream.
    """

    def __init__(
        self,
        open: Opener,
        name: str,
        stride: int,
        short_side: int,
        buffer_size: int = 64,
        max_retries: int | None = None,
        ends_with_data: bool = False,
        start_time: float = 0.0,
        stride_seconds: float = 0.0,
    ) -> None:
        self.open, self.name = open, name
        self.recorder: Recorder | None = None
        self.ended = threading.Event()
        self._buffer = FrameBuffer(buffer_size)
        self.sampling = Sampling(stride, stride_seconds)
        self.short_side = short_side
        self.max_retries, self.ends_with_data = max_retries, ends_with_data
        self.start_time = start_time

    def follow(self, stopped: threading.Event) -> Iterator[list[LiveFrame] | Notice]:
        """Yield new frames and notices until the stream ends or is stopped.

        Args:
            stopped: set it to stop; the generator does not wait for a read in progress.
        """
        buffer = self._buffer
        thread = threading.Thread(target=self._read, args=(buffer, stopped), daemon=True)
        thread.start()
        while not stopped.is_set():
            items = buffer.take(POLL_SECONDS)
            yield from items
            if not items and not thread.is_alive():
                return

    def notify(self, notice: Notice) -> None:
        """Yield a notice of somebody else among the source's own."""
        self._buffer.put_notice(notice)

    def _read(self, buffer: FrameBuffer, stopped: threading.Event) -> None:
        """Fill the buffer, and open the source again whenever it breaks."""
        began = time.monotonic() - self.start_time
        failures, last_time = 0, self.start_time - MIN_STEP
        lost_at = math.inf  # the end of the last frame of the connection before
        while not stopped.is_set():
            # A source may be read faster than it plays, so its times may be ahead of the clock.
            connected_at = max(time.monotonic() - began, last_time + MIN_STEP)
            has_frames, step = False, math.inf
            try:
                for frame in self._frames(connected_at, stopped, buffer):
                    if has_frames:
                        step = min(step, frame.time - last_time)
                    elif lost_at < frame.time:
                        frame = replace(frame, gaps=((lost_at, frame.time), *frame.gaps))
                    has_frames, last_time = True, frame.time
                    lost_at = round(last_time + (step if step < math.inf else MIN_STEP), 6)
                    buffer.put_frame(frame)
                    if stopped.is_set():
                        return
                reason = "it ended"
                if self.ends_with_data or self.ended.is_set():
                    buffer.put_notice(Notice("ended", f"{self.name}: {reason}"))
                    return
            except ValueError as error:
                reason = error.reason if isinstance(error, VideoError) else str(error)
                if self.ends_with_data and has_frames:
                    # From the beginning again, a file would give the same frames as new ones.
                    buffer.put_notice(Notice("ended", f"{self.name}: {reason}"))
                    return
            failures = 0 if has_frames else failures + 1
            if self.max_retries is not None and failures > self.max_retries:
                buffer.put_notice(Notice("ended", f"{self.name}: {reason}; given up"))
                return
            pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
            text = f"{self.name}: {reason}; trying again in {pause:.0f} s"
            buffer.put_notice(Notice("lost", text))
            stopped.wait(pause)

    def _frames(
        self, connected_at: float, stopped: threading.Event, buffer: FrameBuffer
    ) -> Iterator[LiveFrame]:
        """Open the source once and yield the first frame of every snippet of it."""
        import av
        from av.video.reformatter import VideoReformatter

        reformatter = VideoReformatter()
        snippet, first = -1, connected_at
        gaps: Gaps = ()
        with self.open(stopped) as source:
            try:
                options = _options(source, self.ends_with_data)
                with av.open(source, metadata_errors="replace", **options) as container:
                    stream = choose_stream(self.name, container)
                    clock = StreamClock(connected_at, self._header_step(stream))
                    buffer.put_notice(Notice("connected", "the source is open"))
                    reader = GeometryReader(stream)
                    with closing(self._packets(container, stream, connected_at)) as packets:
                        for index, frame in enumerate(_decode(packets)):
                            if stopped.is_set():
                                return
                            seconds = clock.read(frame.time)
                            if self.recorder is not None:
                                self.recorder.place(frame.time, seconds)
                            first = first if index else seconds
                            for start, end in clock.gaps:
                                gap = round(start, 6), round(end, 6)
                                gaps = (*gaps, gap)[-MAX_GAPS:]
                            last = snippet
                            snippet = self.sampling.snippet_of(index, seconds - first)
                            reader.follow(frame)
                            if snippet > last:
                                pixels = _show(reformatter, frame, reader, self.short_side)
                                # Whole microseconds, as in the records about it and in the gaps.
                                yield LiveFrame(pixels, round(seconds, 6), time.time(), gaps)
                                gaps = ()
            except (av.error.FFmpegError, OSError) as error:
                what = "can't be read" if snippet < 0 else "broke off"
                raise VideoError(self.name, f"{what} ({reason_of(error)})") from None

    def _packets(
        self, container: InputContainer, stream: VideoStream, connected_at: float
    ) -> Generator[Packet[VideoStream]]:
        """Yield the packets of a connection, which the recorder receives too."""
        recorder = self.recorder
        if recorder is None:
            yield from container.demux(stream)
            return
        recorder.open(stream, connected_at)
        try:
            for packet in container.demux(stream):
                recorder.take(packet)
                yield packet
        finally:
            recorder.finish()

    def _header_step(self, stream: VideoStream) -> float | None:
        """Return the seconds between two frames by the header; None for what plays meanwhile."""
        if not self.ends_with_data:
            return None
        return 1 / float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)


def growing_file(path: Path, idle_seconds: float = 30) -> Opener:
    """Return the opener of a file that is still being written.

    Args:
        path: MPEG-TS, Matroska or fragmented MP4: a container that can be read while it grows.
        idle_seconds: the file has ended if no byte is added for this long.
    """

    @contextmanager
    def open(stopped: threading.Event) -> Iterator[Readable]:
        try:
            with path.open("rb") as file:
                yield GrowingFile(file, idle_seconds, stopped)
        except OSError as error:
            raise VideoError(path.name, f"can't be read ({reason_of(error)})") from None

    return open


class GrowingFile:
    """Reads a file and waits for more at its end.

    Args:
        file: the open file; its `read` returns what is there.
        idle_seconds: the file has ended if no byte is added for this long.
        stopped: set it to end the reading.
    """

    def __init__(self, file: Readable, idle_seconds: float, stopped: threading.Event) -> None:
        self._file, self._idle_seconds, self._stopped = file, idle_seconds, stopped
        self._has_ended = False

    def read(self, size: int = -1) -> bytes:
        """Wait for data and return at most `size` bytes; b"" at the end."""
        deadline = time.monotonic() + self._idle_seconds
        # FFmpeg asks again at the end, some formats a dozen times: it is waited for once.
        while not (self._has_ended or self._stopped.is_set()):
            data = self._file.read(size)
            if data:
                return data
            self._has_ended = time.monotonic() > deadline
            self._stopped.wait(POLL_SECONDS)
        return b""


def _options(source: Readable | str, is_file: bool) -> dict[str, Any]:
    """Return the arguments of `av.open`: an address may be RTSP only, bytes open nothing else.

    Args:
        source: what to open.
        is_file: whether it is a file, which may begin seconds before its first keyframe.
    """
    # By default FFmpeg analyzes five seconds of a stream before it outputs the first frame. Of raw
    # HEVC that is cut, it loses what comes before the second keyframe if it does not get to one.
    duration = FILE_ANALYSIS if is_file else STREAM_ANALYSIS
    options = {**CLOCK_OPTIONS, "analyzeduration": duration, "fpsprobesize": "0"}
    if isinstance(source, str):
        options |= {"rtsp_transport": "tcp", "protocol_whitelist": "rtsp,rtp,tcp,udp"}
        return {"container_options": options, "timeout": RTSP_TIMEOUT}
    options |= {"format_whitelist": VIDEO_FORMATS, "protocol_whitelist": ""}
    return {"container_options": options, "timeout": None}


def _show(
    reformatter: VideoReformatter, frame: VideoFrame, reader: GeometryReader, short_side: int
) -> NDArray[np.uint8]:
    geometry = reader.read(frame)
    size = geometry.size(frame.width, frame.height, short_side)
    return geometry.upright(to_rgb(reformatter, frame, size))


def _decode(packets: Iterator[Any]) -> Iterator[Any]:
    import av

    # PyAV raises IndexError for a stream that begins later than FFmpeg's probing reaches; see
    # `exvad.video.container.read_packets`.
    with suppress(IndexError):
        for packet in packets:
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue  # a damaged frame is lost; the next ones can be decoded
