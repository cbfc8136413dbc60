"""Private Ray clusters of one node with made-up resources, in this process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from exvad.pipeline.session import ray_output_hidden


@contextmanager
def fake_cluster(num_cpus: float, num_gpus: float = 0) -> Iterator[None]:
    """Start a Ray cluster that claims to have some CPU cores and GPUs.

    Args:
        num_cpus: CPU cores.
        num_gpus: GPUs, which do not exist.
    """
    with ray_output_hidden(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            address="local",
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield
    finally:
        ray.shutdown()
