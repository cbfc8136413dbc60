"""The Ray session of a job: the cluster it was submitted to, or a private one."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
import ray.data


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

    Without RAY_ADDRESS, the session never joins a Ray cluster that runs on this machine.
    """
    address = os.environ.get("RAY_ADDRESS", "local")
    private = {"include_dashboard": False} if address == "local" else {}
    with ray_output_hidden():
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **private)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()
