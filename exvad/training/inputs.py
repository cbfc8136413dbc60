"""What a network takes over from the features before it is trained on them.

D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from exvad.modeling.alignment import LabelCentre
from exvad.store.grounding import text_width
from exvad.training.batches import video_owners
from exvad.training.data import labels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.modeling.exvad import ExVAD
    from exvad.store.examples import Example
    from exvad.store.schema import TextKind
    from exvad.training.replica import Replica

SAMPLED_VIDEOS = 1024  # whose features are read for mean and variance


def feature_widths(
    examples: Sequence[Example], replica: Replica, text: TextKind
) -> tuple[int, int | None]:
    """Return D of the image features and of the text features; None for the latter without text.

    Args:
        examples: the training examples.
        replica: this worker, which reads an example of its own.
        text: the kind of text; the column of votes of grounded text does not count.
    """
    example = examples[int(_own_rows(examples, replica)[0])]
    width = None if example.text is None else example.text.shape[-1] - text_width(text, 0)
    return example.visual_TD.shape[1], width


def set_statistics(
    network: ExVAD, label_CD: torch.Tensor, examples: Sequence[Example], replica: Replica
) -> None:
    """Tell a network the means of its labels, and mean and variance of its features.

    Several workers train with the statistics of the first: data parallelism copies them.

    Args:
        network: the untrained network.
        label_CD: label embeddings F_L.
        examples: the training examples, of which up to 1,024 of this worker are read.
        replica: this worker.
    """
    for step_of_labels in network.label_adapter.modules():
        if isinstance(step_of_labels, LabelCentre):
            step_of_labels.set_centre(label_CD.to(step_of_labels.centre_D.device))
    rows = _own_rows(examples, replica)
    step = -(-len(rows) // SAMPLED_VIDEOS)
    sampled = rows[::step].tolist()
    if network.visual_input is not None:
        network.visual_input.set_statistics(
            torch.from_numpy(examples[row].visual_TD) for row in sampled
        )
    if network.text_input is not None:
        texts = (examples[row].text for row in sampled)
        network.text_input.set_statistics(
            torch.from_numpy(np.atleast_2d(text)[:, : network.text_input.width])
            for text in texts
            if text is not None
        )


def _own_rows(examples: Sequence[Example], replica: Replica) -> NDArray[np.intp]:
    if replica.world_size == 1:
        return np.arange(len(examples))
    owners_N = video_owners(*labels_of(examples), replica.world_size)
    return np.flatnonzero(owners_N == replica.rank)
