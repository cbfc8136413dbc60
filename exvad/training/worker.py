"""TODO"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.training.fitting import FitState

STATE = "state.pt"


def worker(settings: dict[str, Any]) -> None:
    """Train on one Ray Train worker; reports a checkpoint and the figures after every epoch."""
    import ray
    import ray.train
    import ray.train.torch
    import torch

    from exvad.inference.network import build_network
    from exvad.training.fitting import FitState, fit, training_data

    config: Config = settings["config"]
    bank, *more_crops = ray.get(settings["banks"])
    label_CD = torch.from_numpy(settings["label_CD"])
    context = ray.train.get_context()
    torch.manual_seed(config.train.seed)
    network = build_network(config, bank.width, len(label_CD))
    resume = None
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            resume = FitState.from_dict(torch.load(Path(folder) / STATE, weights_only=True))

    def report(state: FitState) -> None:
        figures = state.history[-1]
        ray.get(settings["board"].note.remote(figures))
        if context.get_world_rank() != 0:
            ray.train.report(figures)
            return
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state.to_dict(), Path(folder) / STATE)
            ray.train.report(figures, checkpoint=ray.train.Checkpoint.from_directory(folder))

    fit(
        network,
        label_CD,
        training_data(bank, settings["manifest"], config, more_crops),
        config,
        device=ray.train.torch.get_device(),
        wrap=ray.train.torch.prepare_model,
        rank=context.get_world_rank(),
        world=context.get_world_size(),
        resume=resume,
        on_epoch=report,
    )
