"""The Ray session of a job: the cluster it was submitted to, or a private one."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.data

from exvad.pipeline.worker_environment import hub_runtime_env


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


@contextmanager
def ray_session() -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS names, or start a private one on this machine.

    Without RAY_ADDRESS, the session never joins a Ray cluster that runs on this machine. The
    processes of a cluster get this process's variables of the Hugging Face hub, such as HF_TOKEN.
    """
    address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {"include_dashboard": False}
    if address != "local":  # the processes of a private session inherit all variables
        options = {"runtime_env": hub_runtime_env(os.environ)}
    with ray_output_hidden():
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **options)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()
