"""The process that decodes a live source: it is confined, and asks another one for the source.

Its parent (`stream_child.py`) opens the source, whenever this process asks for it, and hands over
an open file, or an address on this machine for RTSP, which FFmpeg has to speak itself.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from exvad.config import SandboxMode
from exvad.serving.recording.channel import FragmentSender
from exvad.serving.sources.camera_url import is_camera_url
from exvad.video.confinement.kernel import end_with_parent
from exvad.video.confinement.landlock import landlock_version
from exvad.video.confinement.layers import Confinement, confine, leave_machine
from exvad.video.confinement.namespaces import connect_to_itself
from exvad.video.confinement.seccomp import COMPUTE, TCP, calls
from exvad.video.confinement.trial import find_reachable
from exvad.video.container import VideoError
from exvad.video.footage.recorder import Recorder
from exvad.video.frame_buffer import Notice
from exvad.video.live_source import GrowingFile, LiveSource, Readable
from exvad.video.sandbox_child import limit_resources

MAX_MESSAGE = 2**16
LANDLOCK_WITH_TCP = 4
LAST_FRAGMENTS_SECONDS = 5.0


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
        sandbox: confinement of the process; see the server's setting.
        stride_seconds: one frame in so many seconds is read, in place of `stride`; 0 to count
            frames.
        recording: descriptor of the socket to which all packets go; None to record nothing.
        max_retries: how often in a row a source without a single frame is opened again; None for
            no limit.
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
    sandbox: SandboxMode = "best"
    stride_seconds: float = 0.0
    recording: int | None = None
    max_retries: int | None = None

    @property
    def is_rtsp(self) -> bool:
        """Whether FFmpeg itself has to connect to the source."""
        return self.url is not None and is_camera_url(self.url)


def read_source(control: socket.socket, output: IO[bytes], spec: SourceSpec, parent: int) -> None:
    """Confine this process, read the source until it ends, and write its frames and notices.

    Args:
        control: connection to the parent, which opens the source.
        output: receives the frames and notices.
        spec: the source.
        parent: process id of the parent.
    """
    limit_resources(spec.max_bytes)
    confinement = _confine(control, spec, parent)
    if spec.sandbox == "strict" and confinement.reachable:
        reachable = ", ".join(confinement.reachable)
        text = f"{spec.name}: sandbox=strict, but this machine can't keep {reachable} out of reach"
        _write_line(output, {"notice": ["ended", text, 0]})
        output.flush()
        return
    opener = _Opener(control, spec)
    source = LiveSource(
        opener.open,
        spec.name,
        spec.stride,
        spec.short_side,
        max_retries=spec.max_retries,
        ends_with_data=spec.path is not None,
        start_time=spec.start_time,
        stride_seconds=spec.stride_seconds,
    )
    source.ended = opener.ended
    sender = _record(source, spec)
    for item in source.follow(threading.Event()):
        if isinstance(item, Notice):
            if item.kind == "ended" and sender is not None:
                sender.wait(LAST_FRAGMENTS_SECONDS)  # whoever reads the notice ends this process
            _write_line(output, {"notice": [item.kind, item.text, item.count]})
        else:
            for frame in item:
                head = {"shape": frame.frame.shape[:2], "time": frame.time}
                _write_line(output, {**head, "decoded_at": frame.decoded_at, "gaps": frame.gaps})
                output.write(frame.frame.tobytes())
        output.flush()


def _record(source: LiveSource, spec: SourceSpec) -> FragmentSender | None:
    """Let a source be recorded by the process at the other end of a socket."""
    if spec.recording is None:
        return None

    def report(text: str) -> None:
        source.notify(Notice("recording", f"{spec.name}: {text}"))

    sender = FragmentSender(spec.recording, report)
    source.recorder = Recorder(sender.put, report)
    return sender


def _confine(control: socket.socket, spec: SourceSpec, parent: int) -> Confinement:
    """Confine this process; return what confines it and what is still in reach."""
    confined = spec.sandbox != "off"
    layers = leave_machine(processes=False) if confined else []
    end_with_parent(parent)
    has_network = "namespaces" in layers
    rules, ports = [*COMPUTE, *calls("recvmsg")], []
    if spec.is_rtsp:
        if has_network:
            connect_to_itself()
        # In a network of its own, only this process can make what the parent then listens to.
        with socket.create_server(("127.0.0.1", 0)) as server:
            ports.append(server.getsockname()[1])
            socket.send_fds(control, [b"listen"], [server.fileno()])
        rules += TCP
    if not confined:
        return Confinement((), ())
    layers += confine(rules, ports)
    reachable = find_reachable([parent])
    if spec.is_rtsp and not has_network and landlock_version() < LANDLOCK_WITH_TCP:
        reachable.append("network")
    return Confinement(tuple(layers), tuple(dict.fromkeys(reachable)))


class _Opener:
    """Opens the source by asking the parent for it.

    Args:
        control: connection to the parent.
        spec: the source.

    Attributes:
        ended: set once the source has said that nothing will follow.
    """

    def __init__(self, control: socket.socket, spec: SourceSpec) -> None:
        self._control, self._spec = control, spec
        self.ended = threading.Event()

    @contextmanager
    def open(self, stopped: threading.Event) -> Iterator[Readable | str]:
        """Open the source; see `LiveSource`.

        Raises:
            ValueError: the parent can't open it.
        """
        answer, descriptors = self._ask(b"open")
        if "error" in answer:
            raise ValueError(answer["error"])
        if "address" in answer:
            try:
                yield answer["address"]
            except VideoError as error:
                # FFmpeg has a number for what the relay has seen and can say in words.
                reason = self._ask(b"why")[0].get("error", "")
                raise VideoError(self._spec.name, reason or error.reason) from None
            return
        (descriptor,) = descriptors
        try:
            if self._spec.path is not None:
                file = _Descriptor(descriptor)
                yield GrowingFile(file, self._spec.idle_seconds, stopped)
            else:
                yield _Body(descriptor, self._find_end)
        finally:
            os.close(descriptor)

    def _find_end(self) -> str:
        """Return why a body has ended: an error, or empty for its regular end."""
        answer, _ = self._ask(b"why")
        if answer.get("ended"):
            self.ended.set()
        return str(answer.get("error", ""))

    def _ask(self, question: bytes) -> tuple[dict[str, Any], list[int]]:
        os.write(self._control.fileno(), question)
        message, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 1)
        if not message:
            os._exit(1)  # the parent has gone
        answer: dict[str, Any] = json.loads(message)
        return answer, descriptors


class _Descriptor:
    """A descriptor as a readable file.

    Args:
        descriptor: the descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes as soon as there are any; b"" at the end."""
        return os.read(self._descriptor, MAX_MESSAGE if size < 0 else size)


class _Body(_Descriptor):
    """The body of an HTTP response, which may end with an error.

    Args:
        descriptor: the parent writes the body to its other end.
        find_error: returns why the body has ended; empty for its regular end.
    """

    def __init__(self, descriptor: int, find_error: Any) -> None:
        super().__init__(descriptor)
        self._find_error = find_error

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes as soon as there are any; b"" at the end.

        Raises:
            OSError: the connection was lost.
        """
        data = super().read(size)
        if not data and (error := self._find_error()):
            raise OSError(error)
        return data


def _write_line(output: IO[bytes], message: Mapping[str, object]) -> None:
    output.write(json.dumps(message).encode() + b"\n")
