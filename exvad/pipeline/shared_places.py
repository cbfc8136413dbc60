"""Whether all nodes of a cluster see the places of a run, before anything is computed.

Nodes that are added later, and there may be none yet, look by themselves: see `Marks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from exvad.config.addresses import shown_address
from exvad.data.storage.errors import StorageError
from exvad.data.storage.marks import ADVICE, UNMARKED, Marks, UnsharedPlaceError, marked
from exvad.data.storage.places import Place, is_uri
from exvad.pipeline.preflight.looking import Sight, look_for_marks
from exvad.pipeline.session import is_on_cluster
from exvad.video.container import MissingVideoError, VideoError, check_local, open_remote

TIMEOUT_SECONDS = 60.0
TRIED_VIDEOS = 16  # some may be missing everywhere


@contextmanager
def shared_places(
    written: Mapping[str, str] | None = None, read: Mapping[str, str] | None = None
) -> Iterator[Marks]:
    """Mark the places of a job that runs on a cluster; see `marked`. Elsewhere there are no marks.

    Args:
        written: configuration key → path or URI of the places that workers write to.
        read: the same of those that they only read.

    Raises:
        OSError, StorageError: a mark can't be written.
    """
    if not is_on_cluster():
        yield UNMARKED
        return
    with marked(written, read) as marks:
        yield marks


def check_shared(marks: Marks) -> None:
    """Refuse places that are not the same on all nodes that can compute now.

    Every node looks for the marks of this process, and this process for the answer of every node.
    A process of the cluster may have another environment than this one also on the same node, so
    that node looks too for what is not on its disk.

    Args:
        marks: the marked places.

    Raises:
        UnsharedPlaceError: a node sees other files.
        StorageError: storage does not answer.
    """
    nodes = _other_nodes() if marks.places else []
    if not all(place.is_local for _, place in marks.places):
        nodes.append(_own_node())
    names = {node["NodeID"]: f"{marks.name}.{node['NodeID'][:16]}" for node in nodes}
    try:
        variables = {setting: place.variables for setting, place in marks.places}
        arguments = {key: (marks, name, variables) for key, name in names.items()}
        for node, sights in _ask(nodes, look_for_marks, arguments):
            address = node["NodeManagerAddress"]
            for setting, place in marks.places:
                sight: Sight = sights[setting]
                if sight.problem:
                    raise _unusable(setting, place, address, sight)
                if not sight.found or not (place / names[node["NodeID"]]).exists():
                    raise marks.unshared(setting, address, sight.advice)
    finally:
        if names:
            for _, place in marks.places:
                place.delete_files(list(names.values()))


def check_videos_shared(paths: Sequence[str]) -> None:
    """Refuse videos that this process sees and another node that can compute does not.

    One video is looked for. Videos that no node sees are not refused: each is a failure of its own.

    Args:
        paths: paths or URIs of the videos, as the manifest has them.

    Raises:
        UnsharedPlaceError: a node does not see the video.
    """
    if not is_on_cluster() or not (nodes := _other_nodes()):
        return
    path = next((path for path in islice(paths, TRIED_VIDEOS) if not is_missing(path)), None)
    if path is None:
        return
    for node, missing in _ask(nodes, is_missing, {node["NodeID"]: (path,) for node in nodes}):
        if missing:
            raise unseen_video(path, node["NodeManagerAddress"])


def is_missing(path: str) -> bool:
    """Return whether this process sees no video at a path, whatever else may be wrong with it.

    Args:
        path: local path or URI.
    """
    try:
        if is_uri(path):
            with open_remote(path):
                return False
        check_local(path)
    except MissingVideoError:
        return True
    except (VideoError, StorageError):
        return False
    return False


def unseen_video(path: str, node: str) -> UnsharedPlaceError:
    """Return the error of a video that this process sees and a node does not.

    Args:
        path: path or URI of the video.
        node: the name or address of the node.
    """
    return UnsharedPlaceError(
        f"the videos are not at the same place on all nodes: {node} does not see "
        f"{shown_address(path)}, which the job sees. {ADVICE}"
    )


def _unusable(setting: str, place: Place, address: str, sight: Sight) -> UnsharedPlaceError:
    """Return the error of a place that a node can't read or write, and this process can."""
    return UnsharedPlaceError(
        f"{setting} {place} can't be used by the processes of the cluster: node {address} says: "
        f"{sight.problem}" + (f". {sight.advice}" if sight.advice else "")
    )


def _own_node() -> dict[str, Any]:
    here = ray.get_runtime_context().get_node_id()
    return next(node for node in ray.nodes() if node["NodeID"] == here)


def _other_nodes() -> list[dict[str, Any]]:
    here = ray.get_runtime_context().get_node_id()
    return [
        node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here and computes(node)
    ]


def computes(node: Mapping[str, Any]) -> bool:
    """Return whether a node of `ray.nodes` can compute: the head of many clusters can't.

    Args:
        node: the node.
    """
    return bool(node["Resources"].get("CPU") or node["Resources"].get("GPU"))


def _ask(
    nodes: Sequence[dict[str, Any]], function: Any, arguments: Mapping[str, tuple[Any, ...]]
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Call a function on nodes; yield the nodes that answer, each with what the call returned."""
    answers = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(num_cpus=0, scheduling_strategy=there)(function)
        answers[node["NodeID"]] = task.remote(*arguments[node["NodeID"]])
    if answers:
        ray.wait(list(answers.values()), num_returns=len(answers), timeout=TIMEOUT_SECONDS)
    for node in nodes:
        try:
            yield node, ray.get(answers[node["NodeID"]], timeout=0)
        except (
            ray.exceptions.GetTimeoutError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.TaskUnschedulableError,
        ):
            continue  # Other nodes, or this one when it is back, do the work.
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if not isinstance(cause, OSError | StorageError):
                raise
            raise UnsharedPlaceError(f"node {node['NodeManagerAddress']} says: {cause}") from None
