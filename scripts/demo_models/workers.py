"""Two processes that train one model: each on its own batches, with averaged gradients."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import distributed

WORKERS = 2


def run_workers(train: Callable[..., None], *arguments: Any) -> None:
    """Run `train(rank, *arguments)` in every worker process.

    Raises:
        RuntimeError: a worker ended with an error.
    """
    spawn = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = f"file://{Path(folder) / 'rendezvous'}"
        workers = [
            spawn.Process(target=_run_worker, args=(rank, rendezvous, train, arguments))
            for rank in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"{train.__module__}.{train.__name__}: a worker ended with an error")


def _run_worker(
    rank: int, rendezvous: str, train: Callable[..., None], arguments: Sequence[Any]
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=WORKERS)
    train(rank, *arguments)
    distributed.barrier()
    distributed.destroy_process_group()


def averaged_step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Take one optimizer step with the workers' average gradient, clipped to a norm of 1."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    averages = torch.split(flat / WORKERS, [gradient.numel() for gradient in gradients])
    for gradient, average in zip(gradients, averages, strict=True):
        gradient.copy_(average.view_as(gradient))
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
