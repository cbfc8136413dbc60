"""The comparison with torch sees a wrong answer, and refuses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.encoders.clip import ClipEncoder
from exvad.export.agreement import (
    MAX_DIFFERENCE,
    head_difference,
    image_encoder_difference,
    require_agreement,
)
from exvad.export.graphs import Graph, head_graph, image_encoder_graph
from exvad.export.runtimes import Arrays, Run
from tests.helpers.exports import save_planted_checkpoint


def run_by_torch(graph: Graph, name: str = "", shift: float = 0.0) -> Run:
    """Return a runtime that runs a graph by torch; `shift` is added to the output `name`."""

    def run(arrays: Arrays) -> dict[str, np.typing.NDArray[np.float32]]:
        with torch.inference_mode():
            inputs = [torch.from_numpy(arrays[tensor.name]) for tensor in graph.inputs]
            answer = graph.module(*inputs)
        outputs = answer if isinstance(answer, tuple) else (answer,)
        return {
            output.name: value.numpy() + (shift if output.name == name else 0)
            for output, value in zip(graph.outputs, outputs, strict=True)
        }

    return run


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("run") / "checkpoint"
    return save_planted_checkpoint(folder, "model.text=captions", "model.max_snippets=20")


@pytest.mark.parametrize("name", ["classifier", "alignment", "probabilities"])
@pytest.mark.parametrize("shift", [0.01, np.nan])
def test_head_difference_sees_every_output(checkpoint: Checkpoint, name: str, shift: float) -> None:
    graph = head_graph(checkpoint)
    assert head_difference(checkpoint, run_by_torch(graph)) < 1e-6
    difference = head_difference(checkpoint, run_by_torch(graph, name, shift))
    np.testing.assert_allclose(difference, shift, rtol=0.01)


def test_image_encoder_difference_is_a_share_of_the_largest_feature() -> None:
    encoder = ClipEncoder("package:clip", device="cpu", dtype="float32")
    graph = image_encoder_graph(encoder)
    assert image_encoder_difference(encoder, run_by_torch(graph)) < 1e-6
    difference = image_encoder_difference(encoder, run_by_torch(graph, "features", 0.1))
    assert 0.001 < difference < 0.1


@pytest.mark.parametrize("difference", [2 * MAX_DIFFERENCE, float("nan")])
def test_require_agreement_refuses_with_the_difference(difference: float) -> None:
    require_agreement("head", MAX_DIFFERENCE)
    with pytest.raises(ValueError, match=rf"head differs from torch by {difference:.2g}, and"):
        require_agreement("head", difference)


def test_head_difference_covers_short_clips_and_padding(tmp_path: Path) -> None:
    small = save_planted_checkpoint(tmp_path / "checkpoint", "model.max_snippets=1")
    graph = head_graph(small)
    assert head_difference(small, run_by_torch(graph)) < 1e-6
