"""Work of a job that one process does: a task on the cluster, where the resources are, or here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import ray

from exvad.checkpoints.local_tracking import SQLITE, database_path
from exvad.pipeline.placement import Demand, check_placement
from exvad.pipeline.progress.task_board import bars_copied, task_shown
from exvad.pipeline.session import is_on_cluster, ray_session
from exvad.pipeline.shared_places import check_shared, shared_places

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.marks import Marks

# A spot node may be lost more than once during a long task.
RETRIES = 5

_P = ParamSpec("_P")
_T = TypeVar("_T")


def run_task(
    title: str,
    demand: Demand,
    config: Config,
    function: Callable[_P, _T],
    *arguments: _P.args,
    **keywords: _P.kwargs,
) -> _T:
    """Call a function on a node of the cluster that has the resources; here without a cluster.

    The function can be called again from its start if the node is lost. On a cluster its progress
    bars are shown here.

    Args:
        title: the step, as shown to the user.
        demand: the resources of the call.
        config: the configuration of the run, whose folder and store all nodes must share.
        function: the function.
        arguments: its arguments; those that name places must name them in full.
        keywords: the same, by name.

    Returns:
        The function's result.

    Raises:
        PlacementError: no node is that large.
        UnsharedPlaceError: a node does not see the run's folder or its store.
        Exception: what the function raises.
    """
    if not is_on_cluster():
        return function(*arguments, **keywords)
    with shared_places({"run": config.run}, {"store": config.store_path}) as marks, ray_session():
        check_placement(title, [demand])
        check_shared(marks)
        task = ray.remote(num_cpus=demand.cpus, num_gpus=demand.gpus, max_retries=RETRIES)(_call)
        with task_shown(title) as board:
            result: _T = get_result(task.remote(board, marks, function, arguments, keywords))
    return result


def get_result(reference: ray.ObjectRef) -> Any:
    """Wait for a task and return its result.

    Args:
        reference: the reference to the result.

    Raises:
        Exception: what the task raised, as it raised it.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _call(
    board: Any,
    marks: Marks,
    function: Callable[..., _T],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
) -> _T:
    """Call a function on a node that sees the places of the job; show its bars in the driver."""
    marks.check()
    with bars_copied(board):
        return function(*arguments, **keywords)


def with_full_places(config: Config) -> Config:
    """Return a configuration whose run and store are the same in every working folder."""
    return config.model_copy(
        update={"run": full_path(config.run), "store": full_path(config.store)}
    )


def with_tracking_store(config: Config) -> Config:
    """Return a configuration that names the tracking store of this process.

    A task on another node has neither the variable MLFLOW_TRACKING_URI of this process nor its
    working folder.
    """
    uri = config.mlflow_uri
    if (database := database_path(uri)) is not None:
        uri = f"{SQLITE}{database.absolute()}"
    return config.model_copy(update={"mlflow": config.mlflow.model_copy(update={"uri": uri})})


def full_path(location: str) -> str:
    """Return the absolute path of a file or folder that is there; anything else as it is."""
    return str(Path(location).absolute()) if location and Path(location).exists() else location
