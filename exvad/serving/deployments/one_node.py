"""The node on which all replicas run: the queue and the spool are on its disk.

A replica on another node would have a queue of its own, whose analyses nobody takes.
"""

# No postponed annotations here, as in the other modules of this folder.

from collections.abc import Sequence

import ray

from exvad.pipeline.placement import Demand, PlacementError, nodes_for_all

NODE_LABEL = "ray.io/node-id"


def choose_node(demands: Sequence[Demand], wanted: str = "") -> str:
    """Return the id of the node for all replicas.

    Args:
        demands: what the replicas reserve together.
        wanted: address of the node that the settings name; empty for the node of this process, or
            else the only one that can hold all replicas.

    Returns:
        The id; empty if there is no choice: Ray does not run, or it has one node, now or
        when the autoscaler has started it.

    Raises:
        PlacementError: no node can hold all replicas, or it is not clear which one shall.
    """
    if not ray.is_initialized():
        return ""
    suited = nodes_for_all(demands)
    if suited.can_grow_to == 1 and not wanted:
        return ""
    needed, listed = ", ".join(map(str, demands)), ", ".join(suited.addresses.values())
    if not suited.addresses:
        raise PlacementError(
            "the server can't start: its queue is on the disk of one machine, so one node must "
            f"hold all replicas ({needed}), and none does; add a larger node, or lower one of "
            "these settings"
        )
    named = [node for node, address in suited.addresses.items() if address == wanted]
    if wanted and not named:
        raise PlacementError(
            f"node: {wanted} can't hold all replicas of the server ({needed}), or is no node of "
            f"the cluster; these can: {listed}"
        )
    if not named and not suited.here and len(suited.addresses) > 1:
        raise PlacementError(
            "the queue of the server is on the disk of one machine, and several nodes can hold "
            f"all replicas: set node to one of {listed}"
        )
    return next(iter([*named, *filter(None, [suited.here]), *suited.addresses]))


def on_node(node: str) -> dict[str, dict[str, str]]:
    """Return the options of an actor that runs on a node; none for an empty id."""
    return {"label_selector": {NODE_LABEL: node}} if node else {}
