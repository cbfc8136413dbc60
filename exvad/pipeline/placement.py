"""Whether the nodes of a cluster have the CPU cores and GPUs that a step requests.

Ray waits silently for resources, even for those that no node will ever have.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray._private.state import state as cluster_state
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.autoscaler._private.util import format_readonly_node_type
from ray.autoscaler.v2.sdk import get_cluster_resource_state
from ray.experimental.internal_kv import _internal_kv_get

from exvad.pipeline.progress.terminal import console

if TYPE_CHECKING:
    from exvad.config import Resources

REPORT_SECONDS = 60.0
MOST_PROCESSES = 256
KIND_WITHOUT_AUTOSCALER = format_readonly_node_type("")
TOLERANCE = 1e-6

Amounts = dict[str, float]  # of CPU and GPU


class PlacementError(ValueError):
    """A step requests more than the cluster has; the message names the setting to change."""


@dataclass(frozen=True)
class Demand:
    """Processes that run at the same time, each of them on one node.

    Args:
        name: what one of them is, such as `actor`.
        setting: the configuration keys that decide the amounts.
        cpus: CPU cores per process.
        gpus: GPUs per process.
        count: number of processes.
    """

    name: str
    setting: str
    cpus: float
    gpus: float = 0
    count: int = 1

    @property
    def amounts(self) -> Amounts:
        """The resources of one process."""
        return {"CPU": self.cpus, "GPU": self.gpus}

    def __str__(self) -> str:
        name = self.name if self.count == 1 else f"{self.name}s"
        each = "" if self.count == 1 else " each"
        return f"{self.count} {name} with {_describe(self.amounts)}{each} ({self.setting})"


def actors_demand(setting: str, resources: Resources) -> Demand:
    """Return the demand of the smallest pool of actors.

    Args:
        setting: the configuration key of the resources, such as `stages.vision`.
        resources: the resources per actor and the size of the pool.
    """
    return Demand("actor", setting, resources.cpus, resources.gpus, resources.min_actors)


def check_placement(title: str, demands: Sequence[Demand]) -> None:
    """Refuse demands that the cluster can never fulfil.

    Args:
        title: the step, as shown to the user.
        demands: all processes that the step needs at the same time.

    Raises:
        PlacementError: no node, now or from the autoscaler, is large enough for a process; or,
            without an autoscaler, the nodes do not hold all processes at the same time.
    """
    nodes, addable = _nodes(), [node for node, _ in _addable_nodes()]
    for demand in demands:
        if not any(_fits(demand.amounts, node) for node in [*nodes, *addable]):
            present = ", ".join(sorted({_describe(node) for node in [*nodes, *addable]}))
            raise PlacementError(
                f"{title} can't start: {demand}, and no node of the cluster is that large "
                f"(nodes have {present}); add a larger node, or lower {demand.setting}"
            )
    if not addable and not _fit_together(demands, nodes):
        listed = ", ".join(map(str, demands))
        total = {name: sum(node[name] for node in nodes) for name in ("CPU", "GPU")}
        raise PlacementError(
            f"{title} can't start: it needs at the same time {listed}, and the cluster has "
            f"{_describe(total)} on {len(nodes)} nodes; add a node, or lower one of these settings"
        )


def place_actors(
    title: str, setting: str, resources: Resources, beside: Sequence[Demand] = ()
) -> Resources:
    """Return the resources of a pool with as many actors as fit beside the other processes.

    Args:
        title: the step, as shown to the user.
        setting: the configuration key of the resources, such as `stages.vision`.
        resources: the configured resources.
        beside: the other processes that the step needs at the same time.

    Returns:
        The resources; with fewer actors, and a printed note, if the cluster is too small for the
        configured number and has no autoscaler.

    Raises:
        PlacementError: not even one actor fits.
    """
    one_actor = resources.model_copy(update={"min_actors": 1})
    check_placement(title, [actors_demand(setting, one_actor), *beside])
    count = resources.max_actors or most_processes(actors_demand(setting, one_actor).amounts)
    if _addable_nodes():
        return resources.model_copy(update={"max_actors": count})
    nodes = _nodes()
    while count > 1 and not _fit_together(
        [Demand("actor", setting, resources.cpus, resources.gpus, count), *beside], nodes
    ):
        count -= 1
    if count < resources.min_actors:
        console.print(
            f"note: {title} runs with {count} instead of {resources.min_actors} actors, because "
            f"the cluster has no room for more ({setting})",
            highlight=False,
        )
    min_actors = min(count, resources.min_actors)
    return resources.model_copy(update={"min_actors": min_actors, "max_actors": count})


def most_processes(amounts: Amounts) -> int:
    """Return how many processes the cluster holds, with all nodes that its autoscaler may add.

    Args:
        amounts: the resources of one process.

    Returns:
        At least 1, at most `MOST_PROCESSES`. That is also the answer where the autoscaler does not
        say how many nodes it adds.
    """
    held = sum(_count_fitting(amounts, node) for node in _nodes())
    addable = 0
    for node, count in _addable_nodes():
        addable += _count_fitting(amounts, node) * (count if count >= 0 else MOST_PROCESSES)
    return max(1, min(MOST_PROCESSES, max(held, addable)))


@dataclass(frozen=True)
class NodesForAll:
    """The nodes each of which holds all processes of a step.

    Args:
        addresses: id of each node → its address, in the order of the addresses.
        here: the id of the node of this process if it is among them; else empty.
        can_grow_to: the largest number of nodes that the cluster may have, head included;
            0 if it is not known.
    """

    addresses: dict[str, str]
    here: str
    can_grow_to: int


def nodes_for_all(demands: Sequence[Demand]) -> NodesForAll:
    """Find the nodes of the cluster each of which holds all processes at the same time.

    Args:
        demands: the processes.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    suited = [node for node in alive if _fit_together(demands, [_cpu_and_gpu(node["Resources"])])]
    here = ray.get_runtime_context().get_node_id()
    kinds = _addable_nodes()
    addable = 0 if any(count < 0 for _, count in kinds) else sum(count for _, count in kinds)
    pairs = ((node["NodeID"], node["NodeManagerAddress"]) for node in suited)
    addresses = dict(sorted(pairs, key=lambda pair: pair[1]))
    return NodesForAll(
        addresses, here if here in addresses else "", addable if kinds else len(alive)
    )


class WaitReporter:
    """Prints every minute without progress what Ray waits for.

    Args:
        title: the step, as shown to the user.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._progressed = threading.Event()
        self._stopped = threading.Event()

    def progress(self) -> None:
        """Record that something was finished."""
        self._progressed.set()

    def run(self) -> None:
        """Print reports until `stop`."""
        minutes = 0
        while not self._stopped.wait(REPORT_SECONDS):
            minutes = 0 if self._progressed.is_set() else minutes + 1
            self._progressed.clear()
            pending = self._pending() if minutes else []
            if pending:
                console.print(
                    f"{self.title} waits for free cores or GPUs, {minutes} min so far: "
                    f"{', '.join(pending)}; free: {_describe(ray.available_resources())}",
                    highlight=False,
                )

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    def _pending(self) -> list[str]:
        """Return what the cluster has no room for, of this job and of others."""
        gcs = GcsClient(address=ray.get_runtime_context().gcs_address)
        waiting = get_cluster_resource_state(gcs)
        single = [
            f"{request.count} × {_describe(request.request.resources_bundle)}"
            for request in waiting.pending_resource_requests
        ]
        together = [
            f"{len(group.requests)} × {_describe(group.requests[0].resources_bundle)} together"
            for group in waiting.pending_gang_resource_requests
        ]
        return single + together


@contextmanager
def waiting_reported(title: str) -> Iterator[WaitReporter]:
    """Print inside the block, every minute without progress, what Ray waits for."""
    reporter = WaitReporter(title)
    thread = threading.Thread(target=reporter.run, daemon=True)
    thread.start()
    try:
        yield reporter
    finally:
        reporter.stop()
        thread.join()


def _nodes() -> list[Amounts]:
    """Return the resources of the nodes of the cluster."""
    return [_cpu_and_gpu(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _addable_nodes() -> list[tuple[Amounts, int]]:
    """Return the kinds of nodes that the autoscaler adds; none without one.

    Returns:
        The resources of each kind, and how many of it there may be; -1 if that is not known.
    """
    cluster = cluster_state.get_cluster_config()
    groups = [] if cluster is None else cluster.node_group_configs
    if groups:
        return [
            (_cpu_and_gpu(group.resources), group.max_count)
            for group in groups
            if group.max_count != 0
        ]
    # The older autoscaler publishes no kinds of nodes, only which of them are in use.
    status = json.loads(_internal_kv_get(DEBUG_AUTOSCALING_STATUS) or b"{}")
    kinds_in_use = status.get("autoscaler_report", {}).get("active_nodes", {})
    if any(not kind.startswith(KIND_WITHOUT_AUTOSCALER) for kind in kinds_in_use):
        return [({"CPU": math.inf, "GPU": math.inf}, -1)]
    return []


def _cpu_and_gpu(resources: Mapping[str, float]) -> Amounts:
    return {name: float(resources.get(name, 0)) for name in ("CPU", "GPU")}


def _fits(amounts: Amounts, free: Amounts) -> bool:
    return all(amount <= free[name] + TOLERANCE for name, amount in amounts.items())


def _count_fitting(amounts: Amounts, node: Amounts) -> int:
    """Return how many equal processes fit on a node, at most `MOST_PROCESSES`."""
    if math.inf in node.values():
        return MOST_PROCESSES
    room = _Room(node["CPU"], [1.0] * int(node["GPU"]))
    count = 0
    while count < MOST_PROCESSES and room.take(amounts):
        count += 1
    return count


def _fit_together(demands: Sequence[Demand], nodes: Sequence[Amounts]) -> bool:
    """Return whether the nodes hold all processes at the same time, the largest placed first."""
    rooms = [_Room(node["CPU"], [1.0] * int(node["GPU"])) for node in nodes]
    processes = [demand.amounts for demand in demands for _ in range(demand.count)]
    for amounts in sorted(processes, key=lambda process: (-process["GPU"], -process["CPU"])):
        if not any(room.take(amounts) for room in rooms):
            return False
    return True


@dataclass
class _Room:
    """What is free on a node: CPU cores, and the free share of each GPU."""

    cpus: float
    gpus: list[float]

    def take(self, amounts: Amounts) -> bool:
        """Take room for a process; return whether there is enough.

        A process gets several whole GPUs, or a share of a single one.
        """
        share = min(1.0, amounts["GPU"])
        count = math.ceil(amounts["GPU"] - TOLERANCE)
        # The fullest ones first, so that whole GPUs stay free.
        by_room = sorted(range(len(self.gpus)), key=lambda gpu: self.gpus[gpu])
        taken = [gpu for gpu in by_room if self.gpus[gpu] + TOLERANCE >= share][:count]
        if len(taken) < count or self.cpus + TOLERANCE < amounts["CPU"]:
            return False
        self.cpus -= amounts["CPU"]
        for gpu in taken:
            self.gpus[gpu] -= share
        return True


def _describe(resources: Mapping[str, float]) -> str:
    """Return amounts as text, such as `1 CPU and 0.5 GPU`."""
    amounts = _cpu_and_gpu(resources)
    named = [f"{amount:g} {name}" for name, amount in amounts.items() if amount or name == "CPU"]
    return " and ".join(named)
