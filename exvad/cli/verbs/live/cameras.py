"""`exvad cameras`: the cameras of the network, and the addresses of their streams."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

HELP = "find cameras of the network (ONVIF) and their addresses"
DESCRIPTION = (
    "Ask the network for ONVIF cameras (WS-Discovery), and each of them for the RTSP addresses of "
    "its streams, which `exvad watch` and `exvad serve` watch. Cameras behind a router do not "
    "answer: name them by --address."
)
PASSWORD_VARIABLE = "EXVAD_CAMERA_PASSWORD"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--user",
        metavar="NAME",
        default="",
        help=f"user of the cameras; the password comes from {PASSWORD_VARIABLE}, or is asked for "
        "[no login]",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        metavar="N",
        help="how long to wait for answers, 0.1 to 60 [%(default)g]",
    )
    parser.add_argument(
        "--address",
        action="append",
        metavar="URL",
        help="ask this device instead of the network, such as "
        "http://192.168.1.20/onvif/device_service; may be repeated [the network]",
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    if not 0.1 <= options.seconds <= 60:
        raise ValueError(f"--seconds {options.seconds:g}: a number from 0.1 to 60 is needed")
    from exvad.serving.discovery.report import report_addresses, report_network

    password = _read_password() if options.user else ""
    if options.address:
        return report_addresses(print, options.address, options.user, password)
    return report_network(print, options.seconds, options.user, password)


def _read_password() -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is not None:
        return password
    if not sys.stdin.isatty():
        raise ValueError(f"--user needs a password: set {PASSWORD_VARIABLE}")
    return getpass.getpass("password of the cameras: ")
