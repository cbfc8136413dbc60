"""What confines the decoding of videos, on this machine and on the nodes of a cluster."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from exvad.config.counts import count_of
from exvad.pipeline.preflight.findings import Finding
from exvad.video.sandbox import DecodingProcess, SandboxError

if TYPE_CHECKING:
    from exvad.config import Config, SandboxMode

WHAT = "stages.sandbox"
MAX_NODES = 64  # that are looked at; clusters are made of few kinds of nodes
NODE_SECONDS = 30.0


def check_sandbox(config: Config) -> Finding:
    """Check what confines decoding on this machine.

    Args:
        config: `stages.sandbox`.
    """
    ok, detail = look_at_sandbox(config.stages.sandbox)
    return Finding(WHAT, ok, detail)


def look_at_sandbox(mode: SandboxMode) -> tuple[bool, str]:
    """Return whether decoding is confined as the mode demands here, and what confines it.

    Args:
        mode: value of `stages.sandbox`.
    """
    if mode == "off":
        return True, "off: a hostile video has all the rights of the worker that decodes it"
    try:
        with DecodingProcess(mode=mode) as process:
            return True, str(process.confinement())
    except SandboxError as error:
        return False, str(error)


def check_sandbox_of_nodes(config: Config) -> Finding:
    """Check what confines decoding on the nodes of the running Ray.

    Args:
        config: `stages.sandbox`.
    """
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]][:MAX_NODES]
    answers = [
        ray.remote(look_at_sandbox)
        .options(
            num_cpus=0,
            max_retries=1,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        .remote(config.stages.sandbox)
        for node in nodes
    ]
    ready, late = ray.wait(answers, num_returns=len(answers), timeout=NODE_SECONDS)
    for answer in late:
        ray.cancel(answer)  # by force, Ray aborts this process if the task just ends
    found = Counter(ray.get(ready))
    details = [f"{detail} ({_nodes(count)})" for (_, detail), count in found.most_common()]
    if late:
        details.append(f"no answer within {NODE_SECONDS:.0f} s ({_nodes(len(late))})")
    return Finding(WHAT, all(ok for ok, _ in found), "; ".join(details))


def _nodes(count: int) -> str:
    return count_of(count, "node")
