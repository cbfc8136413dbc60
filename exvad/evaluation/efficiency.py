"""What a system costs: parameters, multiply-adds, and the time of a forward pass.

T snippets · D feature width
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from exvad.baselines.common.system import Clips, trainable_parameters

if TYPE_CHECKING:
    from exvad.baselines import Baseline

REPEATS = 7


@dataclass(frozen=True)
class Efficiency:
    """The cost of a system for one video of T snippets.

    Args:
        parameters: trainable parameters.
        macs: multiply-adds of matrix products and convolutions; other operations are not counted.
        seconds: median time of a forward pass on one CPU core.
    """

    parameters: int
    macs: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {"parameters": self.parameters, "macs": self.macs, "seconds": self.seconds}


def measure_efficiency(
    system: Baseline, width: int, text_shape: Sequence[int], snippets: int
) -> Efficiency:
    """Measure what a system costs on the CPU, with random features.

    Args:
        system: the system, trained or not.
        width: D.
        text_shape: (E,) for a text feature of the video, (0, E) for one of each snippet, and ()
            without text.
        snippets: T; a system that takes fewer at once gets chunks.
    """
    system = system.to("cpu").eval()
    chunk = min(snippets, system.chunk or snippets)
    generator = torch.Generator().manual_seed(0)
    parts = [
        _clips(min(chunk, snippets - start), width, text_shape, generator)
        for start in range(0, snippets, chunk)
    ]

    def run() -> None:
        for part in parts:
            system(part)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            with FlopCounterMode(display=False) as counter:
                run()
            seconds = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    # The counter counts a multiply-add as two operations.
    macs = counter.get_total_flops() // 2
    return Efficiency(trainable_parameters(system), macs, statistics.median(seconds))


def _clips(
    snippets: int, width: int, text_shape: Sequence[int], generator: torch.Generator
) -> Clips:
    shape = [snippets, *text_shape[1:]] if len(text_shape) > 1 else text_shape
    text = torch.randn(1, *shape, generator=generator) if text_shape else None
    return Clips(
        torch.randn(1, snippets, width, generator=generator),
        torch.tensor([snippets]),
        text,
        torch.zeros(1, 0),
        torch.zeros(1, dtype=torch.long),
    )
