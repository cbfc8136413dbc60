"""A session of Ray Serve in a cluster of a test; apart, since few tests import Serve."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve

from exvad.pipeline.session import ray_output_hidden


@contextmanager
def session_with_serve(address: str) -> Iterator[None]:
    """Join a cluster, and run Ray Serve there without its proxy; another server may have the port.

    Args:
        address: address of the cluster.
    """
    with ray_output_hidden(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    try:
        serve.start(proxy_location="Disabled")
        yield
        serve.shutdown()
    finally:
        ray.shutdown()
