"""Whether all nodes of a cluster see the places of a run, before anything is computed.

A local folder is another one on every machine. What workers wrote there would be lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import Place, resolve_place

TIMEOUT_SECONDS = 60.0
PREFIX = ".exvad-canary-"


class UnsharedPlaceError(ValueError):
    """A node does not see the files of a place; the message names the setting and the node."""


def check_shared(places: Mapping[str, str]) -> None:
    """Refuse places that are not the same on all nodes that can compute.

    A file is written here and read by a task on every node, and the other way round. With a single
    node nothing is checked. Nodes that are added later are not checked.

    Args:
        places: configuration key → path or URI.

    Raises:
        UnsharedPlaceError: a node sees other files.
        OSError: a file can't be written here.
        StorageError: storage does not answer.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and _computes(node)]
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in nodes if node["NodeID"] != here]
    if not others:
        return
    canary = f"{PREFIX}{uuid.uuid4().hex}"
    resolved = {setting: resolve_place(location) for setting, location in places.items()}
    try:
        for place in resolved.values():
            (place / canary).write_text(canary)
        answers = {node["NodeID"]: _ask(node["NodeID"], resolved, canary) for node in others}
        ray.wait(list(answers.values()), num_returns=len(answers), timeout=TIMEOUT_SECONDS)
        for node in others:
            _check_answer(node, answers[node["NodeID"]], resolved, canary)
    finally:
        for place in resolved.values():
            place.delete_files([canary, *(_answer_name(canary, node["NodeID"]) for node in others)])


def look_at_places(places: Mapping[str, Place], canary: str, answer_name: str) -> list[str]:
    """Read the canary of every place on the node where this runs, and write an answer beside it.

    Args:
        places: configuration key → place.
        canary: name and content of the file to read.
        answer_name: name of the file to write.

    Returns:
        The keys of the places where the canary is missing.
    """
    missing = []
    for setting, place in places.items():
        try:
            found = (place / canary).read_text() == canary
        except FileNotFoundError:
            found = False
        if found:
            (place / answer_name).write_text(canary)
        else:
            missing.append(setting)
    return missing


def _computes(node: Mapping[str, Any]) -> bool:
    return bool(node["Resources"].get("CPU") or node["Resources"].get("GPU"))


def _answer_name(canary: str, node_id: str) -> str:
    return f"{canary}.{node_id[:16]}"


def _ask(node_id: str, places: Mapping[str, Place], canary: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(num_cpus=0, scheduling_strategy=there)(look_at_places)
    return task.remote(places, canary, _answer_name(canary, node_id))


def _check_answer(
    node: Mapping[str, Any], answer: Any, places: Mapping[str, Place], canary: str
) -> None:
    """Raise if a node does not see the files of this process, or this process not those of it."""
    try:
        missing = ray.get(answer, timeout=0)
    except (
        ray.exceptions.GetTimeoutError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.TaskUnschedulableError,
    ):
        return  # Other nodes, or this one when it is back, do the work.
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if not isinstance(cause, OSError | StorageError):
            raise
        raise UnsharedPlaceError(f"node {node['NodeManagerAddress']} says: {cause}") from None
    for setting, place in places.items():
        answer_name = _answer_name(canary, node["NodeID"])
        if setting in missing or not (place / answer_name).exists():
            raise UnsharedPlaceError(
                f"{setting} {place} is not the same place on all nodes: "
                f"{node['NodeManagerAddress']} does not see the files of this process. Give a "
                "folder that all nodes share, or a bucket"
            )
