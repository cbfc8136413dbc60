"""WS-Discovery: ask the network which ONVIF devices there are."""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import struct
import time
import uuid
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from exvad.serving.discovery.xml import DeviceError, find_texts, parse_xml

GROUP = ("239.255.255.250", 3702)
REPEATS = 2  # a datagram may be lost
MAX_DATAGRAM = 2**16
MAX_DEVICES = 1000
PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:n="http://www.onvif.org/ver10/network/wsdl">
<s:Header><a:MessageID>urn:uuid:{id}</a:MessageID>
<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>
<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>
<s:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>"""


@dataclass(frozen=True)
class Device:
    """A device that has answered.

    Args:
        host: the address that the answer came from.
        address: URL of its device service.
        name: what it calls itself; may be empty.
    """

    host: str
    address: str
    name: str


def find_devices(seconds: float, group: tuple[str, int] = GROUP) -> list[Device]:
    """Ask all networks for cameras, and return those that answer in time, by address.

    Args:
        seconds: how long to wait for answers.
        group: address and port to which the question goes.

    Raises:
        OSError: this machine has no network to ask.
    """
    found: dict[str, Device] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        began = time.monotonic()
        for turn in range(REPEATS):
            _ask(asking, PROBE.format(id=uuid.uuid4()).encode(), group)
            until = began + seconds * (turn + 1) / REPEATS
            while (left := until - time.monotonic()) > 0 and len(found) < MAX_DEVICES:
                if select.select([asking], [], [], left)[0]:
                    datagram, (host, _) = asking.recvfrom(MAX_DATAGRAM)
                    device = _read_answer(datagram, host)
                    if device is not None:
                        found[device.address] = device
    return sorted(
        found.values(), key=lambda device: (socket.inet_aton(device.host), device.address)
    )


def _ask(asking: socket.socket, question: bytes, group: tuple[str, int]) -> None:
    """Send a question to a group in every network of this machine, not only in the default one.

    Raises:
        OSError: this machine has no network to ask.
    """
    if not ipaddress.ip_address(group[0]).is_multicast:
        asking.sendto(question, group)
        return
    problem, asked = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)), False
    for index, _ in socket.if_nameindex():
        any_address = bytes(4)
        choice = struct.pack("=4s4si", any_address, any_address, index)
        try:
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, choice)
            asking.sendto(question, group)
            asked = True
        except OSError as error:  # it is down, or has no address
            problem = error
    if not asked:
        raise problem


def _read_answer(datagram: bytes, host: str) -> Device | None:
    """Return the device that answers; None for what is no answer.

    A device is asked only at the address that it answers from: it must not send us to others.
    """
    try:
        root = parse_xml(datagram)
    except DeviceError:
        return None
    addresses = [item for text in find_texts(root, "XAddrs") for item in text.split()]
    own = [address for address in addresses if _host_of(address) == host]
    if not own:
        return None
    scopes = [item for text in find_texts(root, "Scopes") for item in text.split()]
    names = [scope.rpartition("/name/")[2] for scope in scopes if "/name/" in scope]
    return Device(host, own[0], printable(unquote(names[0])) if names else "")


def _host_of(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        return parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        return None


def printable(text: str) -> str:
    """Return a text of a device without what could control a terminal, at most 80 characters."""
    return "".join(letter for letter in text if letter.isprintable())[:80]
