"""Why a camera can't be watched, in words: from the status of its answers, or from its silence."""

from __future__ import annotations

import errno
import ssl

from exvad.data.storage.errors import reason_of

UNAUTHORIZED, NO_TRANSPORT = 401, 461
STATUS_TEXTS = {
    403: "the camera does not let this user see the stream",
    404: "the camera has no stream of this name: check the path of its URL",
    453: "the camera has no bandwidth left: end other connections to it",
    454: "the camera has ended the session",
    NO_TRANSPORT: "the camera offers neither RTSP over TCP nor over UDP in unicast",
    503: "the camera is busy: it may have too many viewers",
}
REDIRECT = "the camera redirects to another address, which is not followed"
NO_RTSP = "what answers at this port does not speak RTSP: check the port of the URL"

NOBODY_THERE = (errno.EHOSTUNREACH, errno.EHOSTDOWN)  # nobody in the network has this address
NO_PACKETS = (
    "the camera offers no RTSP over TCP, and none of its UDP packets arrive: a firewall may drop "
    "them, or switch RTSP over TCP on in the camera"
)


def describe_status(status: int, has_login: bool, scheme: str = "rtsp") -> str:
    """Return what an error status of a camera means.

    Args:
        status: 300 to 599.
        has_login: whether a user name was sent.
        scheme: of its URL.
    """
    if status == UNAUTHORIZED and has_login:
        return "the camera refuses the user name or the password"
    if status == UNAUTHORIZED:
        return f"the camera asks for a user name and a password: {scheme}://USER:PASSWORD@HOST/PATH"
    if 300 <= status < 400:
        return REDIRECT
    return STATUS_TEXTS.get(status, f"the camera answered with status {status}")


def describe_silence(error: OSError, seconds: float, scheme: str = "rtsp") -> str:
    """Return what it means that there is no connection to a camera.

    Args:
        error: the error of the connection.
        seconds: how long it was tried.
        scheme: of the camera's URL.
    """
    is_web = scheme.startswith("http")
    plain = "http" if is_web else "rtsp"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the camera is not trusted ({error.verify_message}): name a file "
            f"with its issuer by the environment variable SSL_CERT_FILE, or use {plain}"
        )
    if isinstance(error, ssl.SSLError):
        return f"the camera does not speak TLS at this port ({error.reason}): try {plain}"
    if isinstance(error, ConnectionRefusedError):
        return (
            "the camera refuses connections to this port: check the port of the URL, and that "
            f"{'HTTP' if is_web else 'RTSP'} is switched on in the camera"
        )
    if isinstance(error, TimeoutError):
        return (
            f"the camera does not answer for {seconds:g} s: it is off, or can't be reached from "
            "here"
        )
    if error.errno in NOBODY_THERE:
        return (
            f"there is no camera at this address ({reason_of(error)}): it is off, has another "
            "address, or can't be reached from here"
        )
    return f"the camera can't be reached ({reason_of(error)})"
