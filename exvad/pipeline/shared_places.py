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
from exvad.data.storage.places import is_uri
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

    Args:
        marks: the marked places.

    Raises:
        UnsharedPlaceError: a node sees other files.
        StorageError: storage does not answer.
    """
    nodes = _other_nodes() if marks.places else []
    names = {node["NodeID"]: f"{marks.name}.{node['NodeID'][:16]}" for node in nodes}
    try:
        found = _ask(nodes, look_for_marks, {key: (marks, name) for key, name in names.items()})
        for node, missing in found:
            for setting, place in marks.places:
                if setting in missing or not (place / names[node["NodeID"]]).exists():
                    raise marks.unshared(setting, node["NodeManagerAddress"])
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


def look_for_marks(marks: Marks, answer_name: str) -> list[str]:
    """Look for the marks on the node where this runs, and write an answer beside each.

    Args:
        marks: the marks of the job.
        answer_name: name of the files to write.

    Returns:
        The keys of the places where the mark is missing.
    """
    missing = marks.missing()
    for setting, place in marks.places:
        if setting not in missing:
            (place / answer_name).write_text(answer_name)
    return missing


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
