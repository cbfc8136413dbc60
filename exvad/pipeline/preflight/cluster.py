"""The preflight on a Ray cluster: what it offers, and the models as its workers find them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import ray

from exvad.pipeline.placement import Demand, PlacementError, check_placement
from exvad.pipeline.preflight.findings import BackgroundChecks, Finding
from exvad.pipeline.preflight.models import model_checks
from exvad.pipeline.preflight.processors import Processors
from exvad.pipeline.preflight.sandbox import check_sandbox_of_nodes
from exvad.pipeline.session import ClusterRefusedError, ray_session

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.pipeline.preflight.needs import Needs, Stage

WORKER_SECONDS = 30.0
CONNECT_SECONDS = 5.0
HUB_SECONDS = 15.0
SHARE = 0.01  # of a core and a GPU: the task runs where the stages will, but reserves little


def check_on_cluster(config: Config, needs: Needs) -> tuple[list[Finding], Processors]:
    """Look at the models on a worker that has what the stages reserve.

    Args:
        config: the models.
        needs: what the job needs.

    Returns:
        The findings about the models, and what the cluster offers.
    """
    address = os.environ["RAY_ADDRESS"]
    try:
        _connect(address)
        return _ask_cluster(config, needs)
    except ClusterRefusedError as error:
        problem = str(error)
    except OSError as error:
        problem = (
            f"RAY_ADDRESS={address} can't be reached ({error}): start the cluster, or unset it"
        )
    return [Finding("cluster", False, problem)], Processors("in the cluster", 0, may_grow=True)


def _connect(address: str) -> None:
    """Connect to the head of a cluster; Ray itself retries a dead address for minutes.

    Args:
        address: a value of RAY_ADDRESS: `HOST:PORT`, with or without a scheme, or `auto`.

    Raises:
        OSError: nothing answers there.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def _ask_cluster(config: Config, needs: Needs) -> tuple[list[Finding], Processors]:
    needs_gpu = any(stage.gpus for stage in needs.stages)
    with ray_session():
        findings = [finding for stage in needs.stages for finding in _placement_problems(stage)]
        gpus = ray.cluster_resources().get("GPU", 0)
        share = SHARE if needs_gpu and not findings else 0
        task = ray.remote(num_cpus=SHARE, num_gpus=share, max_retries=1)(look_at_models)
        answer = task.remote(config, needs.worker_models)
        try:
            found, gpu_bytes = ray.get(answer, timeout=WORKER_SECONDS)
        except ray.exceptions.GetTimeoutError:
            ray.cancel(answer)  # by force, Ray aborts this process if the task just ends
            busy = f"no worker was free within {WORKER_SECONDS:.0f} s to look at the models"
            found, gpu_bytes = [Finding("models", True, busy)], None
        if needs.reads_videos:
            found.append(check_sandbox_of_nodes(config))
    return [*found, *findings], Processors("in the cluster", gpus, gpu_bytes, None, may_grow=True)


def _placement_problems(stage: Stage) -> list[Finding]:
    """Return a finding if no node, now or later, has the GPUs of a stage."""
    if not stage.gpus:
        return []
    demand = Demand("process", stage.setting, 0, stage.gpus, stage.shards)
    try:
        check_placement(stage.setting, [demand])
    except PlacementError as error:
        return [Finding(f"{stage.setting} GPUs", False, str(error))]
    return []


def look_at_models(config: Config, kinds: Any) -> tuple[list[Finding], int | None]:
    """Check models on the node where this runs.

    Returns:
        The findings, and the memory of the GPU that this process may use, in bytes, or None.
    """
    background = BackgroundChecks(HUB_SECONDS)
    for what, check in model_checks(config, kinds, waits_for_endpoints=True):
        background.start(what, check)
    gpu_bytes = None
    if ray.get_gpu_ids():
        import torch

        if torch.cuda.is_available():
            gpu_bytes = int(torch.cuda.get_device_properties(0).total_memory)
    return background.collect(), gpu_bytes
