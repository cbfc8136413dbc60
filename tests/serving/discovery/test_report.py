"""A camera of the network is found and names its streams, with a signed login only."""

from __future__ import annotations

import socket
import struct

import pytest

from exvad.serving.discovery.probe import GROUP, find_devices
from exvad.serving.discovery.report import NONE_FOUND, report_addresses, report_network
from tests.helpers.onvif import onvif_camera

PASSWORD = "p&ss<word"


def test_a_camera_of_the_network_names_its_streams() -> None:
    lines = list[str]()
    with onvif_camera() as camera:
        camera.others = "http://10.1.2.3/onvif/device_service"
        code = report_network(lines.append, 2.0, "viewer", PASSWORD, camera.group)
    assert code == 0
    assert lines == [
        f"{camera.address}  Front door",
        "  rtsp://127.0.0.1:554/stream1  main H264 1920x1080",
        "  rtsp://127.0.0.1:554/stream2  low H264 640x360",
    ]
    assert b"NetworkVideoTransmitter" in camera.probes[0]


@pytest.mark.parametrize(
    ("user", "password", "problem"),
    [
        ("", "", "it asks for a user name and a password: --user NAME"),
        ("viewer", "wrong", "it refuses the user name or the password"),
    ],
)
def test_a_refused_login_is_said_in_words(user: str, password: str, problem: str) -> None:
    lines = list[str]()
    with onvif_camera() as camera:
        assert report_addresses(lines.append, [camera.address], user, password) == 1
    assert problem in lines[1]


def test_a_profile_without_an_address_does_not_hide_the_others() -> None:
    lines = list[str]()
    with onvif_camera() as camera:
        camera.broken = {"a&amp;b"}
        assert report_addresses(lines.append, [camera.address], "viewer", PASSWORD) == 0
        assert lines[1:] == [
            "  rtsp://127.0.0.1:554/stream2  low H264 640x360",
            "  profile a&b: it refuses the request (No such stream)",
        ]
        camera.broken = {"a&amp;b", "low"}
        assert report_addresses(lines.append, [camera.address], "viewer", PASSWORD) == 1
    assert lines[-1] == "  it refuses the request (No such stream)"


def test_every_network_of_the_machine_is_asked() -> None:
    loopback = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
        camera.bind(("", 0))
        group = (GROUP[0], camera.getsockname()[1])
        member = struct.pack("=4s4si", socket.inet_aton(GROUP[0]), bytes(4), loopback)
        camera.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        camera.settimeout(5)
        assert find_devices(0.1, group) == []
        assert b"NetworkVideoTransmitter" in camera.recv(2**16)


def test_a_network_without_cameras_says_what_to_do() -> None:
    lines = list[str]()
    with onvif_camera() as camera:
        group = camera.group
    assert report_network(lines.append, 0.1, "", "", group) == 1
    assert lines == [NONE_FOUND]


def test_what_is_no_device_is_said_in_words() -> None:
    lines = list[str]()
    assert report_addresses(lines.append, ["http://127.0.0.1:9/x"], "", "") == 1
    assert lines[1].startswith("  no answer (")
    with pytest.raises(ValueError, match="begins with http://"):
        report_addresses(lines.append, ["192.168.1.2"], "", "")
