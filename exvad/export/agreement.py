"""How far the answers of an exported file are from those of torch, on random input.

B videos · T snippets · C classes · D feature width · N frames · H, W pixels
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from exvad.export.graphs import ExportError
from exvad.modeling.exvad import ExVAD, class_probabilities, coarse_scores

if TYPE_CHECKING:
    from exvad.checkpoints.checkpoint import Checkpoint
    from exvad.encoders.clip import ClipEncoder
    from exvad.export.runtimes import Run

# Float32 in another order of operations gives about 1e-6, bfloat16 about 1e-2.
MAX_DIFFERENCE = 1e-3
FRAMES = (1, 3)


def image_encoder_difference(encoder: ClipEncoder, run: Run) -> float:
    """Return the largest difference of a feature, as a share of the largest feature.

    Args:
        encoder: in float32 on the CPU.
        run: the exported image encoder.
    """
    random = torch.Generator().manual_seed(0)
    size = (encoder.preprocess.height, encoder.preprocess.width)
    differences = []
    for frames in FRAMES:
        pixels_NCHW = torch.randn((frames, 3, *size), generator=random)
        with torch.inference_mode():
            expected_ND = encoder.network.encode_image(pixels_NCHW).numpy()
        features_ND = run({"pixels": pixels_NCHW.numpy()})["features"]
        largest = np.abs(features_ND - expected_ND).max() / np.abs(expected_ND).max()
        differences.append(float(largest))
    return _largest(differences)


def head_difference(checkpoint: Checkpoint, run: Run) -> float:
    """Return the largest difference of a score or a class probability.

    Clips of one snippet, of about one window, and of the largest number are compared, and batches
    with padding.

    Args:
        checkpoint: on the CPU.
        run: the exported network.
    """
    model = checkpoint.config.model
    lengths = {1, 2, model.window - 1, model.window, model.window + 1, model.max_snippets}
    differences = [
        _difference_of_batch(checkpoint, run, length)
        for length in sorted(lengths)
        if 1 <= length <= model.max_snippets
    ]
    return _largest(differences)


def _difference_of_batch(checkpoint: Checkpoint, run: Run, length: int) -> float:
    """Compare a batch of two clips, a full one and one with padding, unless T is 1."""
    model = checkpoint.config.model
    network = checkpoint.network
    assert isinstance(network, ExVAD), "the folder is refused otherwise"
    width, text_width = network.visual_width, network.text_width
    random = torch.Generator().manual_seed(length)
    batch = 1 if length == 1 else 2
    lengths_B = torch.tensor([length, (length + 1) // 2][:batch])
    # Snippets of a video resemble each other: cosines lie on both sides of the graph's threshold.
    common_D = torch.randn(width, generator=random)
    noise_BTD = torch.randn((batch, length, width), generator=random)
    visual_BTD = common_D + torch.rand((batch, length, 1), generator=random) * noise_BTD
    text = None
    if model.text != "none":
        shape = (batch, text_width) if model.text == "explanation" else (batch, length, text_width)
        text = torch.randn(shape, generator=random)
    with torch.inference_mode():
        output = network(visual_BTD, lengths_B, text, checkpoint.label_CD)
        expected = {
            "classifier": coarse_scores(output, model.tau, "classifier"),
            "alignment": coarse_scores(output, model.tau, "alignment"),
            "probabilities": class_probabilities(output, model.tau, network.weighted_classes),
        }
    inputs = {"visual": visual_BTD, "lengths": lengths_B, "text": text}
    answer = run({name: tensor.numpy() for name, tensor in inputs.items() if tensor is not None})
    valid_BT = np.arange(length) < lengths_B.numpy()[:, None]
    return _largest(
        [
            float(np.abs(answer[name] - tensor.numpy())[valid_BT].max())
            for name, tensor in expected.items()
        ]
    )


def _largest(differences: list[float]) -> float:
    """Return the maximum; NaN if one of them is, which Python's own `max` may drop."""
    return float(np.max(differences))


def require_agreement(part: str, difference: float) -> None:
    """Refuse a file whose answers are not those of torch.

    Args:
        part: name of the part.
        difference: see `image_encoder_difference` and `head_difference`.

    Raises:
        ExportError: the difference is above `MAX_DIFFERENCE`, or not a number.
    """
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"the exported {part} differs from torch by {difference:.2g}, and at most "
            f"{MAX_DIFFERENCE:g} is allowed: nothing was written; try another version of the "
            "runtime, or the other --format"
        )
