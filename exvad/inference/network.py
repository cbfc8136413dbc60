"""The network that a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from exvad.modeling.exvad import ExVAD, build_exvad

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.config.training import ModelConfig


EVIDENCE_WEIGHT = "evidence.direction_D"


def build_network(
    config: Config,
    width: int,
    num_classes: int,
    visual_width: int | None = None,
    text_width: int | None = None,
) -> ExVAD:
    """Build the untrained network that a configuration describes.

    Args:
        config: the `model` section decides the architecture.
        width: D, width of the label embeddings and of the network.
        num_classes: C, with the normal class.
        visual_width: width of the image features; None for D.
        text_width: width of the text features; None for D.
    """
    model = config.model
    return build_exvad(
        width=width,
        num_classes=num_classes,
        window=model.window,
        layers=model.layers,
        skip=model.skip,
        max_snippets=model.max_snippets,
        fusion=model.fusion,
        text=model.text,
        label_prompt=model.label_prompt,
        label_adapter=model.label_adapter,
        centred_labels=model.centred_labels,
        features=model.features,
        visual_width=visual_width,
        text_width=text_width,
        evidence=model.evidence,
        weighted_classes=weighs_classes(model),
    )


def weighs_classes(model: ModelConfig) -> bool:
    """Whether class probabilities are weighted with the anomaly score."""
    if model.weighted_classes is None:
        return model.text == "grounded"
    return model.weighted_classes


def load_network(
    config: Config, label_CD: torch.Tensor, weights: Mapping[str, torch.Tensor]
) -> ExVAD:
    """Build the network of a configuration with weights, on the CPU.

    Args:
        config: the configuration of the training.
        label_CD: label embeddings F_L of the training.
        weights: the state of the network.
    """
    num_classes, width = label_CD.shape
    if config.model.text == "grounded" and EVIDENCE_WEIGHT not in weights:
        # Trained before there were votes, and without weighted classes: it takes no notice of them.
        changes = {"evidence": 0.0, "weighted_classes": False}
        config = config.model_copy(update={"model": config.model.model_copy(update=changes)})
        weights = {**weights, EVIDENCE_WEIGHT: torch.zeros(width)}
    widths = [_input_width(weights, f"{kind}_input") for kind in ("visual", "text")]
    network = build_network(config, width, num_classes, *widths)
    network.load_state_dict(weights)
    return network


def _input_width(weights: Mapping[str, torch.Tensor], layer: str) -> int | None:
    for tensor in (weights.get(f"{layer}.mean_D"), weights.get(f"{layer}.project.weight")):
        if tensor is not None:
            return int(tensor.shape[-1])
    return None
