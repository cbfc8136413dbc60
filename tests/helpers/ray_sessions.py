"""Ray clusters for tests: one node with made-up resources, or several nodes on this machine."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from exvad.pipeline.session import ray_output_hidden
from tests.helpers.processes import free_port


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


@contextmanager
def cluster_of_nodes(*num_cpus: float) -> Iterator[Any]:
    """Run a cluster of a head without cores and other nodes; yield it, so that nodes can be added.

    Args:
        num_cpus: CPU cores of each of the other nodes.
    """
    from ray.cluster_utils import Cluster

    # Where another cluster has the usual port of the dashboard, Ray leaves a socket open.
    head = {"num_cpus": 0, "dashboard_port": free_port()}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for cpus in num_cpus:
            cluster.add_node(num_cpus=cpus)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
