"""The server of `exvad serve`: it runs the application without a configuration file of Ray."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

from ray import serve
from ray.exceptions import RayActorError
from ray.serve.schema import DeploymentStatus

from exvad.data.storage.errors import reason_of
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_output_hidden, ray_session
from exvad.serving.deployments.application import assemble_application, prepare_application

if TYPE_CHECKING:
    from ray.serve import Application

    from exvad.serving.settings import ServerSettings

# How long Ray waits for the process that takes HTTP requests, before it kills it. It gives it 5 s,
# in which a busy machine does not even import Ray.
PROXY_START = ("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")


def check_host(host: str, settings: ServerSettings) -> None:
    """Refuse to accept requests from other machines without API keys.

    Args:
        host: the address to listen on.
        settings: settings of the server.

    Raises:
        ValueError: other machines reach the address, and the settings name no API keys.
    """
    if settings.api_keys is not None or host == "localhost":
        return
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise ValueError(
            f"--host {host} accepts requests from other machines: "
            "set api_keys in the settings file first"
        )


def check_port(host: str, port: int) -> None:
    """Refuse a port that the server can't listen on.

    Args:
        host: the address to listen on.
        port: the port.

    Raises:
        ValueError: another process uses the port, the port is not permitted, or this machine does
            not have the address.
    """
    if not 0 <= port < 65536:
        raise ValueError(f"--port {port}: a port is a number up to 65535; 0 takes any free one")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            problem = f"--port {port} can't be used ({reason_of(error)}): choose another port"
        else:
            problem = (
                f"--host {host} can't be used ({reason_of(error)}): name an address of this machine"
            )
        raise ValueError(problem) from None


def deploy(application: Application) -> None:
    """Start the replicas of an application, and wait until they are ready.

    Args:
        application: the application.

    Raises:
        ValueError: a replica can't start; the message ends with its error.
    """
    try:
        serve.run(application)
    except RuntimeError as error:
        reasons = [
            f"{name}: {status.message.strip().splitlines()[-1]}"
            for running in serve.status().applications.values()
            for name, status in running.deployments.items()
            if status.status == DeploymentStatus.DEPLOY_FAILED and status.message.strip()
        ]
        raise ValueError(f"the server does not start ({'; '.join(reasons) or error})") from error


def run_server(host: str, port: int, settings: ServerSettings) -> None:
    """Serve until interrupted.

    Args:
        host: the address to listen on.
        port: the port.
        settings: settings of the server.

    Raises:
        OtherVersionError: another version of exvad wrote the database or the checkpoint.
        ValueError: Ray Serve does not start; see also `check_host`, `check_port`,
            `prepare_application` and `assemble_application`.
    """
    check_host(host, settings)
    check_port(host, port)
    settings, served = prepare_application(settings)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    os.environ.setdefault(*PROXY_START)  # the processes of Ray inherit it
    # Who asks is waiting: Ray would let every other process of the machine go first.
    with ray_session(niceness=0):
        application = assemble_application(settings, served)
        console.print("loading the models", highlight=False)
        start_serve(host, port)
        try:
            deploy(application)
            console.print(f"serving on http://{host}:{port} · stop with Ctrl-C", highlight=False)
            stopped = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stopped.set())
            while not stopped.wait(1):
                pass
        except KeyboardInterrupt:
            console.print("stopped; accepted videos are analyzed after the next start")
        finally:
            # Ray reports its own actors as lost when they are shut down.
            with ray_output_hidden():
                serve.shutdown()


def start_serve(host: str, port: int) -> None:
    """Start the process that takes HTTP requests.

    Args:
        host: the address to listen on.
        port: the port.

    Raises:
        ValueError: it does not start.
    """
    try:
        serve.start(http_options={"host": host, "port": port})
    except RayActorError:
        serve.shutdown()
        raise ValueError(
            "Ray Serve did not start in time; this machine may be busy: run the same command again"
        ) from None
