"""Speed, use of the card and memory of a piece of work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

GIB = 2**30


def synchronise(device: str) -> None:
    """Wait until the card has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(work: Callable[[], Any], device: str, repeats: int = 2) -> float:
    """Return the shortest time of several repeats, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times)


@dataclass(frozen=True)
class Load:
    """How a piece of work used the card.

    Args:
        wall_seconds: from its start to its end.
        busy_seconds: in which at least one kernel ran.
        kernels: number of kernels.
    """

    wall_seconds: float
    busy_seconds: float
    kernels: int

    @property
    def host_seconds(self) -> float:
        """Seconds in which the card had nothing to do."""
        return max(0.0, self.wall_seconds - self.busy_seconds)

    @property
    def busy_share(self) -> float | None:
        """Share of the time in which a kernel ran; None if the profiler saw none."""
        return self.busy_seconds / self.wall_seconds if self.kernels else None


def profiled(work: Callable[[], Any], device: str) -> Load:
    """Return how a piece of work used the card; on a CPU its operators count as kernels.

    The profiler itself makes the host a little slower.
    """
    work()
    synchronise(device)
    activity = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    wanted = DeviceType.CUDA if device == "cuda" else DeviceType.CPU
    with profile(activities=[activity]) as profiler:
        start = time.perf_counter()
        work()
        synchronise(device)
        wall = time.perf_counter() - start
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if event.device_type == wanted
    ]
    return Load(wall, covered(spans) / 1e6, len(spans))


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


@contextmanager
def memory_limited(device: str, gib: float) -> Iterator[None]:
    """Let torch allocate only so much of the card inside the block; a CPU is not limited."""
    if device != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, gib * GIB / total))
    try:
        yield
    finally:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0)


def reset_peak(device: str) -> None:
    """Begin to measure the peak of the memory anew."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib(device: str) -> float:
    """Return the peak of torch's allocations since `reset_peak`, without its unused reserve."""
    return torch.cuda.max_memory_allocated() / GIB if device == "cuda" else 0.0
