"""The resources and the number of a deployment's replicas, as Ray Serve takes them."""

# No postponed annotations here, as in the other modules of this folder.

from typing import Any

from exvad.serving.settings import Replicas


def scale(deployment: Any, replicas: Replicas, node: dict[str, Any]) -> Any:
    """Return a deployment with the resources and the autoscaling of the settings.

    Args:
        deployment: a deployment of Ray Serve.
        replicas: its settings, with the GPUs filled in.
        node: the options of the node that all replicas run on; see `on_node`.
    """
    return deployment.options(
        max_ongoing_requests=max(replicas.concurrency, 1) * 2,
        autoscaling_config={
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": replicas.concurrency,
        },
        ray_actor_options=actor_options(replicas, node),
    )


def actor_options(replicas: Replicas, node: dict[str, Any]) -> dict[str, Any]:
    """Return what a replica reserves, and where.

    Args:
        replicas: the settings of its deployment, with the GPUs filled in.
        node: the options of the node that all replicas run on; see `on_node`.
    """
    return {"num_cpus": replicas.cpus, "num_gpus": replicas.gpus or 0, **node}
