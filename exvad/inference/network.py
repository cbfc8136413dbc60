"""The network that a configuration describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.modeling.exvad import ExVAD, build_exvad

if TYPE_CHECKING:
    from exvad.config import Config


def build_network(config: Config, width: int, num_classes: int) -> ExVAD:
    """Build the untrained network that a configuration describes.

    Args:
        config: the `model` section decides the architecture.
        width: D, width of the features.
        num_classes: C, with the normal class.
    """
    model = config.model
    return build_exvad(
        width=width,
        num_classes=num_classes,
        window=model.window,
        layers=model.layers,
        max_snippets=model.max_snippets,
        fusion=model.fusion,
        text=model.text,
        label_prompt=model.label_prompt,
        label_adapter=model.label_adapter,
    )
