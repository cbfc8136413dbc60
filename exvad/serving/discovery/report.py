"""What `exvad cameras` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exvad.data.storage.errors import reason_of
from exvad.serving.discovery.onvif import read_streams
from exvad.serving.discovery.probe import GROUP, Device, find_devices
from exvad.serving.discovery.xml import DeviceError

NONE_FOUND = (
    "no camera has answered. Cameras answer in their own network only, and if ONVIF is switched on "
    "in them; --address URL asks a device directly."
)


def report_network(
    emit: Callable[[str], None],
    seconds: float,
    user: str,
    password: str,
    group: tuple[str, int] = GROUP,
) -> int:
    """Name the cameras that answer, and their streams.

    Args:
        emit: receives each line.
        seconds: how long to wait for answers.
        user: empty for cameras that ask for no login.
        password: of the user.
        group: address and port to which the question goes.

    Returns:
        The exit code: 1 if no camera answers or one of them can't be asked.

    Raises:
        ValueError: this machine has no network to ask.
    """
    try:
        devices = find_devices(seconds, group)
    except OSError as error:
        raise ValueError(f"the network can't be asked for cameras: {reason_of(error)}") from None
    if not devices:
        emit(NONE_FOUND)
        return 1
    return max(_report(emit, device, user, password) for device in devices)


def report_addresses(
    emit: Callable[[str], None], addresses: Sequence[str], user: str, password: str
) -> int:
    """Name the streams of some devices; see `report_network`.

    Args:
        emit: receives each line.
        addresses: URLs of device services.
        user: empty for cameras that ask for no login.
        password: of the user.

    Raises:
        ValueError: an address is none.
    """
    for address in addresses:
        if not address.startswith(("http://", "https://")):
            raise ValueError(f"--address {address}: a URL that begins with http:// is needed")
    return max(_report(emit, Device("", address, ""), user, password) for address in addresses)


def _report(emit: Callable[[str], None], device: Device, user: str, password: str) -> int:
    emit(f"{device.address}  {device.name}".rstrip())
    try:
        streams, problems = read_streams(device.address, user, password)
    except DeviceError as error:
        emit(f"  {error}")
        return 1
    for stream in streams:
        width, height = stream.size
        size = f"{width}x{height}" if width else ""
        details = " ".join(part for part in (stream.profile, stream.encoding, size) if part)
        emit(f"  {stream.url}  {details}".rstrip())
    for problem in problems:
        emit(f"  {problem}")
    if not streams:
        emit("  it has no streams")
    return 0
