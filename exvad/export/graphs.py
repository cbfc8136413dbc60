"""CLIP's image encoder and the trained network as ONNX files.

B videos · T snippets · C classes · D feature width · N frames · H, W pixels · 3 color channels
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from exvad.modeling.exvad import ExVAD, class_probabilities, coarse_scores

if TYPE_CHECKING:
    from exvad.checkpoints.checkpoint import Checkpoint
    from exvad.encoders.clip import ClipEncoder
    from exvad.modeling.madm.lgt_adapter import LocalTransformer

BATCH, TIME = "batch", "time"
EXAMPLE_BATCH, EXAMPLE_SNIPPETS = 2, 37  # any sizes above 1: they leave no trace in the file


class ExportError(ValueError):
    """A part cannot be exported; the message says why and what to do."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of an exported file.

    Args:
        name: its name in the file.
        dtype: `float32` or `int64`.
        shape: sizes; the name of an axis stands for any size.
        meaning: what it holds, for people.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str

    def example(self, sizes: Mapping[str, int]) -> torch.Tensor:
        """Return ones of this dtype and shape.

        Args:
            sizes: name of an axis → size.
        """
        shape = [sizes[size] if isinstance(size, str) else size for size in self.shape]
        return torch.ones(shape, dtype=getattr(torch, self.dtype))


@dataclass(frozen=True)
class Graph:
    """A part of the detector as a function of tensors.

    Args:
        name: name of the part, and of its file without the suffix.
        module: computes the outputs from the inputs, both in order.
        inputs: its inputs.
        outputs: its outputs.
        max_sizes: name of an axis → largest size, if there is one.
    """

    name: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_sizes: Mapping[str, int]


class ImageEncoder(nn.Module):
    """CLIP's image encoder E_I alone.

    Args:
        network: the open_clip model, float32, on the CPU.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """Encode preprocessed frames, [N, 3, H, W], into features, [N, D]."""
        features_ND: torch.Tensor = self.network.encode_image(pixels_NCHW)  # type: ignore[operator]
        return features_ND


class WholeWindows(nn.Module):
    """A local transformer that always pads to whole windows.

    The original one pads only if it must, and shortens its window for a short clip. Such decisions
    about the number of snippets would be fixed in the file.

    Args:
        local: the original.
    """

    def __init__(self, local: LocalTransformer) -> None:
        super().__init__()
        self.local = local

    def forward(self, x_BTD: torch.Tensor, valid_BT: torch.Tensor) -> torch.Tensor:
        """Return the same as the original, [B, T, D]."""
        length, window = x_BTD.shape[1], self.local.window
        padding = (length + window - 1) // window * window - length
        padded_BTD = F.pad(x_BTD, (0, 0, 0, padding))
        mixed_BTD: torch.Tensor = self.local(padded_BTD, F.pad(valid_BT, (0, padding)))
        return mixed_BTD[:, :length]


class Head(nn.Module):
    """The trained network with its label embeddings, from features to scores.

    Args:
        network: the trained network; it is copied.
        label_CD: label embeddings F_L.
        tau: τ of the class probabilities.
    """

    label_CD: torch.Tensor

    def __init__(self, network: ExVAD, label_CD: torch.Tensor, tau: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.network.adapter.local = WholeWindows(network.adapter.local)  # type: ignore[assignment]
        self.register_buffer("label_CD", label_CD)
        self.tau = tau

    def forward(
        self, visual_BTD: torch.Tensor, lengths_B: torch.Tensor, text: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Return the scores of both branches, [B, T] each, and class probabilities, [B, T, C]."""
        output = self.network(visual_BTD, lengths_B, text, self.label_CD)
        return (
            coarse_scores(output, self.tau, "classifier"),
            coarse_scores(output, self.tau, "alignment"),
            class_probabilities(output, self.tau, self.network.weighted_classes),
        )


def image_encoder_graph(encoder: ClipEncoder) -> Graph:
    """Return CLIP's image encoder as a graph named `clip`.

    Args:
        encoder: loaded in float32 on the CPU.
    """
    size = (encoder.preprocess.height, encoder.preprocess.width)
    pixels = Tensor("pixels", "float32", (BATCH, 3, *size), "preprocessed RGB frames")
    features = Tensor("features", "float32", (BATCH, encoder.width), "image features")
    return Graph("clip", ImageEncoder(encoder.network).eval(), (pixels,), (features,), {})


def head_graph(checkpoint: Checkpoint) -> Graph:
    """Return the network of a checkpoint, with its label embeddings, as a graph named `head`.

    Args:
        checkpoint: on the CPU.
    """
    model = checkpoint.config.model
    classes, network = len(checkpoint.label_CD), checkpoint.network
    assert isinstance(network, ExVAD), "the folder is refused otherwise"
    width, text_width = network.visual_width, network.text_width
    inputs = [
        Tensor("visual", "float32", (BATCH, TIME, width), "image features, padded at the end"),
        Tensor("lengths", "int64", (BATCH,), "valid snippets of each clip, 1 to time"),
    ]
    if model.text == "explanation":
        meaning = "text feature of the explanation; zeros without one"
        inputs.append(Tensor("text", "float32", (BATCH, text_width), meaning))
    elif model.text != "none":
        meaning = "text feature of the nearest caption of each snippet; zeros without captions"
        if model.text == "grounded":
            meaning = (
                "text feature that speaks about each snippet, and the votes of the captions for "
                "it in the last column; zeros without an explanation"
            )
        inputs.append(Tensor("text", "float32", (BATCH, TIME, text_width), meaning))
    outputs = (
        Tensor("classifier", "float32", (BATCH, TIME), "anomaly scores of the classifier, 0 to 1"),
        Tensor("alignment", "float32", (BATCH, TIME), "anomaly scores 1 - p(normal), 0 to 1"),
        Tensor("probabilities", "float32", (BATCH, TIME, classes), "class probabilities"),
    )
    assert isinstance(checkpoint.network, ExVAD), "other systems are refused before"
    module = Head(checkpoint.network, checkpoint.label_CD, model.tau).eval()
    return Graph("head", module, tuple(inputs), outputs, {TIME: model.max_snippets})


def write_onnx(graph: Graph, path: Path) -> None:
    """Write a graph as an ONNX file, with its weights in a second file named PATH.data.

    Args:
        graph: what to write.
        path: the file.

    Raises:
        ExportError: torch cannot express the module in ONNX.
        OSError: the disk is full, the folder is read-only, and so on.
    """
    sizes = {BATCH: EXAMPLE_BATCH, TIME: min(EXAMPLE_SNIPPETS, graph.max_sizes.get(TIME, 1))}
    names = dict.fromkeys(
        size for tensor in graph.inputs for size in tensor.shape if isinstance(size, str)
    )
    axes = {
        name: torch.export.Dim(name, min=1, max=graph.max_sizes.get(name))
        for name in names
        if graph.max_sizes.get(name) != 1
    }
    shapes = tuple(
        {index: axes[size] for index, size in enumerate(tensor.shape) if size in axes}
        for tensor in graph.inputs
    )
    try:
        with _without_remarks():
            program = torch.onnx.export(
                graph.module,
                tuple(tensor.example(sizes) for tensor in graph.inputs),
                input_names=[tensor.name for tensor in graph.inputs],
                output_names=[tensor.name for tensor in graph.outputs],
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        cause = error.__cause__ or error
        raise ExportError(
            f"torch {torch.__version__} can't express the {graph.name} in ONNX "
            f"({str(cause).strip().splitlines()[0]}): leave it out with --parts"
        ) from error
    assert program is not None
    _remove_traces(program.model)
    program.save(path, external_data=True)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silence what the exporter says about its own work: users can do nothing about it."""
    optimizer = logging.getLogger("onnxscript.optimizer")
    level = optimizer.level
    with warnings.catch_warnings():
        # Inputs share their axes, so an axis is named once for all of them.
        warnings.filterwarnings("ignore", "# The axis name", UserWarning)
        optimizer.setLevel(logging.ERROR)
        try:
            yield
        finally:
            optimizer.setLevel(level)


def _remove_traces(model: Any) -> None:
    """Remove the notes of the exporter: they name source files and make up most of the file.

    Args:
        model: an `onnx_ir.Model`.
    """
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    for node in model.graph:
        node.metadata_props.clear()
        values += node.outputs
    for value in values:
        value.metadata_props.clear()
