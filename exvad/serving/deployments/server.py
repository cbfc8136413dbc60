"""`exvad serve`: the server with a few flags, without a configuration file of Ray Serve."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.serving.settings import ServerSettings


def check_host(host: str, settings: ServerSettings) -> None:
    """Refuse to listen to other machines without API keys.

    Raises:
        ValueError: the host is not this machine alone, and there are no keys.
    """
    if settings.api_keys is not None or host == "localhost":
        return
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = False
    if not alone:
        raise ValueError(
            f"--host {host} lets other machines ask: set api_keys in the settings file first"
        )


def check_port(host: str, port: int) -> None:
    """Refuse a port that something listens on already.

    Raises:
        ValueError: it is taken, or may not be used.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise ValueError(f"--port {port} can't be used ({error.strerror}): name another") from None


def run_server(host: str, port: int, settings: ServerSettings) -> None:
    """Serve until interrupted.

    Args:
        host: the address to listen on.
        port: the port.
        settings: of the server.

    Raises:
        ValueError: see `check_host` and `check_port`; or there is no such checkpoint.
    """
    check_host(host, settings)
    check_port(host, port)

    from ray import serve

    from exvad.pipeline.session import chatter_hidden, console, ray_session
    from exvad.serving.deployments.application import build

    application = build(settings)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    with ray_session():
        serve.start(http_options={"host": host, "port": port})
        try:
            serve.run(application)
            console.print(f"serving on http://{host}:{port} · stop with Ctrl-C", highlight=False)
            stopped = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stopped.set())
            while not stopped.wait(1):
                pass
        except KeyboardInterrupt:
            console.print("stopped; what was accepted is taken up at the next start")
        finally:
            # Ray tells of its own actors as lost that were asked to end.
            with chatter_hidden():
                serve.shutdown()
