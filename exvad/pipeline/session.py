"""The Ray session of a job: the cluster it was submitted to, or a private one."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.data
from ray._private.ray_constants import WORKER_PROCESS_SETUP_HOOK_ENV_VAR
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.exceptions import AuthenticationError

from exvad.pipeline.termination import raise_termination, termination_raised

PREFIXES = ("HF_", "HUGGING_FACE_", "HUGGINGFACE_")
# Folders and files of one machine; other nodes have others.
PLACES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ASSETS_CACHE",
    "HF_DATASETS_CACHE",
    "HF_MODULES_CACHE",
    "HF_XET_CACHE",
    "HF_TOKEN_PATH",
    "HF_STORED_TOKENS_PATH",
    "HUGGINGFACE_HUB_CACHE",
    "HUGGINGFACE_ASSETS_CACHE",
)
LOCAL = "local"  # what Ray calls a private session
HOOK = "worker_process_setup_hook"


def is_on_cluster() -> bool:
    """Return whether a job started here runs on a cluster that RAY_ADDRESS names."""
    return os.environ.get("RAY_ADDRESS", LOCAL) != LOCAL


def is_submitted() -> bool:
    """Return whether this process is the entry point of a job that `ray job submit` started."""
    return RAY_JOB_CONFIG_JSON_ENV_VAR in os.environ


@contextmanager
def ray_output_hidden() -> Iterator[None]:
    """Hide what Ray prints as it starts and stops; its errors are raised as exceptions."""
    streams = {1: sys.stdout, 2: sys.stderr}
    saved = {descriptor: os.dup(descriptor) for descriptor in streams}
    for stream in streams.values():
        stream.flush()
    with Path(os.devnull).open("w") as devnull:
        for descriptor in streams:
            os.dup2(devnull.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, stream in streams.items():
                stream.flush()
                os.dup2(saved[descriptor], descriptor)
                os.close(saved[descriptor])


class ClusterRefusedError(ValueError):
    """The cluster that RAY_ADDRESS names does not let this process in; the message says why."""


@contextmanager
def ray_session(niceness: int | None = None) -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS names, or start a private one on this machine.

    Without RAY_ADDRESS, the session never joins a Ray cluster that runs on this machine. The
    processes of a cluster get this process's variables of the Hugging Face hub, such as HF_TOKEN.

    Args:
        niceness: of the workers of a private cluster; None for Ray's, which gives way to all other
            processes of the machine.

    Raises:
        ClusterRefusedError: the cluster asks for a token that this process does not show.
        ConnectionError: nothing answers at RAY_ADDRESS.
    """
    address = os.environ.get("RAY_ADDRESS", LOCAL)
    options: dict[str, Any] = {"include_dashboard": False}
    if is_on_cluster():  # the processes of a private session inherit all variables
        options = {"runtime_env": hub_runtime_env(os.environ)}
    elif niceness is not None:
        options["_system_config"] = {"worker_niceness": niceness}
    with termination_raised():
        try:
            with ray_output_hidden():
                _connect(address, options)
            raise_termination()  # Ray has set a handler that would abort the process
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield
        finally:
            ray.shutdown()


def _connect(address: str, options: Mapping[str, Any]) -> None:
    """Call `ray.init`; say what is missing where the cluster asks for a token."""
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, RuntimeError, AuthenticationError) as error:
        text = f"{error} {error.__cause__} {error.__context__}"
        if not isinstance(error, AuthenticationError) and "AuthenticationError" not in text:
            raise
        raise ClusterRefusedError(
            f"the cluster at RAY_ADDRESS={address} asks for a token: "
            + (
                "that of this machine is missing or another one; copy ~/.ray/auth_token from the "
                "head, or set RAY_AUTH_TOKEN"
                if os.environ.get("RAY_AUTH_MODE", "").lower() == "token"
                else "set RAY_AUTH_MODE=token; the token is in ~/.ray/auth_token or RAY_AUTH_TOKEN"
            )
        ) from error


def hub_runtime_env(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the `runtime_env` of `ray.init` that passes on the hub's variables of a driver.

    Ray writes `env_vars` into its logs and shows them on its dashboard, so tokens travel in the
    function that each process calls when it starts.

    Args:
        environment: the variables of the driver. The `runtime_env` of `ray job submit` is among
            them; what it defines is left out here, since Ray refuses to get it twice.

    Returns:
        The `runtime_env`; empty if there is nothing to pass on.
    """
    job = json.loads(environment.get(RAY_JOB_CONFIG_JSON_ENV_VAR, "{}")).get("runtime_env") or {}
    of_job = job.get("env_vars") or {}
    variables = {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIXES) and name not in PLACES and name not in of_job
    }
    tokens = {name: value for name, value in variables.items() if "TOKEN" in name}
    plain = {name: value for name, value in variables.items() if name not in tokens}
    runtime_env: dict[str, Any] = {"env_vars": plain} if plain else {}
    # A process calls one function only; a job that has its own must set the tokens in it.
    if tokens and HOOK not in job and WORKER_PROCESS_SETUP_HOOK_ENV_VAR not in of_job:
        runtime_env[HOOK] = _setter(tokens)
    return runtime_env


def _setter(variables: dict[str, str]) -> Callable[[], None]:
    """Return a function that sets variables. It is pickled whole, for nodes without exvad."""

    def set_hub_variables() -> None:
        import os

        os.environ.update(variables)

    return set_hub_variables
