"""RTP over UDP from a camera, handed to FFmpeg as RTSP over TCP.

FFmpeg asks for interleaved packets (RFC 2326, 10.12) and has no network but the relay's connection.
The relay asks the camera for UDP in its place, and wraps what arrives.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

CHANNELS = re.compile(rb"interleaved=(\d{1,3})-(\d{1,3})")
SERVER_PORTS = re.compile(rb"server_port=(\d{1,5})(?:-(\d{1,5}))?")
TRANSPORT = re.compile(rb"^Transport:[^\r\n]*", re.I | re.M)
MAX_PACKET = 2**16 - 1
TRIES = 50  # to find two neighbouring ports
RECEIVE_BUFFER = 2**22  # bytes: a key frame arrives as one burst
POLL_SECONDS = 0.2
PROBE = b"\x80\x00\x00\x00" + bytes(8)  # an RTP header: opens the way through a firewall


class UdpTracks:
    """The tracks of a camera that arrive by UDP.

    Args:
        host: the camera's address; packets of others are dropped.
        send: receives interleaved packets.
        on_first: called when the first packet arrives.

    Attributes:
        are_needed: whether the camera has refused TCP.
        are_silent: whether they are needed, and no packet has arrived.
    """

    def __init__(
        self, host: str, send: Callable[[bytes], None], on_first: Callable[[], None]
    ) -> None:
        self._host, self._send, self._on_first = host, send, on_first
        self._pairs: dict[bytes, list[socket.socket]] = {}  # interleaved=a-b → RTP, RTCP
        self._by_channel: dict[int, socket.socket] = {}
        self._closed = threading.Event()
        self.are_needed = self.are_silent = False

    def setup_request(self, request: bytes) -> bytes:
        """Return a SETUP for UDP in place of one for TCP, and open the ports that it names.

        Args:
            request: the SETUP of FFmpeg.
        """
        self.are_silent = self.are_silent or not self.are_needed
        self.are_needed = True
        channels = CHANNELS.search(request)
        if channels is None:
            return request
        pair = self._pairs.get(channels[0]) or _open_pair(self._host)
        self._pairs[channels[0]] = pair
        first, second = (item.getsockname()[1] for item in pair)
        wanted = f"Transport: RTP/AVP;unicast;client_port={first}-{second}"
        return TRANSPORT.sub(wanted.encode(), request)

    def setup_response(self, request: bytes, response: bytes) -> bytes:
        """Return what FFmpeg expects in place of the answer to a SETUP for UDP.

        Args:
            request: the SETUP of FFmpeg.
            response: the camera's answer to `setup_request`.
        """
        channels = CHANNELS.search(request)
        if channels is None or channels[0] not in self._pairs:
            return response
        pair, ports = self._pairs[channels[0]], SERVER_PORTS.search(response)
        for item, port in zip(pair, ports.groups() if ports else (), strict=False):
            if port is not None and 0 < int(port) <= MAX_PACKET:
                item.connect((self._host, int(port)))  # from nowhere else from here on
        with suppress(OSError):
            pair[0].send(PROBE)
        for item, channel in zip(pair, (int(channels[1]), int(channels[2])), strict=True):
            if channel not in self._by_channel:
                self._by_channel[channel] = item
                arguments = (item, channel)
                threading.Thread(target=self._receive, args=arguments, daemon=True).start()
        granted = b"Transport: RTP/AVP/TCP;unicast;" + channels[0]
        return TRANSPORT.sub(granted, response)

    def send(self, packet: bytes) -> None:
        """Send an interleaved packet of FFmpeg, such as a receiver report, to the camera.

        Args:
            packet: with its four bytes of framing.
        """
        item = self._by_channel.get(packet[1])
        if item is not None:
            with suppress(OSError):
                item.send(packet[4:])

    def close(self) -> None:
        """End the tracks; their threads close the ports."""
        self._closed.set()
        started = set(self._by_channel.values())
        for item in (item for pair in self._pairs.values() for item in pair):
            if item not in started:
                item.close()

    def _receive(self, item: socket.socket, channel: int) -> None:
        with item:
            while not self._closed.is_set():
                try:
                    packet, (host, *_) = item.recvfrom(MAX_PACKET)
                except TimeoutError:
                    continue
                except ConnectionRefusedError:  # the camera does not listen for our reports
                    continue
                except OSError:
                    return
                if host == self._host and packet:
                    if self.are_silent:
                        self.are_silent = False
                        self._on_first()
                    try:
                        self._send(struct.pack("!cBH", b"$", channel, len(packet)) + packet)
                    except OSError:
                        return


def _open_pair(host: str) -> list[socket.socket]:
    """Open two neighbouring ports, the first of which is even, as RTP requires.

    Raises:
        OSError: there are none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(TRIES):
        first = _bind(family, 0)
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                return [first, _bind(family, port + 1)]
        except OSError:
            pass  # the next port is taken
        first.close()
    raise OSError("no two neighbouring UDP ports are free")


def _bind(family: socket.AddressFamily, port: int) -> socket.socket:
    item = socket.socket(family, socket.SOCK_DGRAM)
    try:
        item.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        item.bind(("", port))
    except OSError:
        item.close()
        raise
    item.settimeout(POLL_SECONDS)
    return item
