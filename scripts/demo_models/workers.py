"""Two processes that train one model: each on its own batches, with gradients averaged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import distributed

WORKERS = 2


def train_together(train: Callable[..., None], *arguments: Any) -> None:
    """Run `train(rank, *arguments)` in every worker.

    Raises:
        RuntimeError: a worker ended with an error.
    """
    spawn = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        workers = [
            spawn.Process(target=_work, args=(rank, meeting, train, arguments))
            for rank in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"{train.__module__}.{train.__name__}: a worker ended with an error")


def _work(rank: int, meeting: str, train: Callable[..., None], arguments: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=WORKERS)
    train(rank, *arguments)
    distributed.barrier()
    distributed.destroy_process_group()


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Take one optimizer step along the gradient averaged over the workers, of norm 1 at most."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    learned = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in learned if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = torch.split(flat / WORKERS, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
    torch.nn.utils.clip_grad_norm_(learned, 1.0)
    optimizer.step()
