"""Exported files answer as torch does, through ONNX Runtime and through OpenVINO."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.encoders.clip import ClipEncoder
from exvad.export.graphs import (
    ExportError,
    Graph,
    Tensor,
    head_graph,
    image_encoder_graph,
    write_onnx,
)
from exvad.export.runtimes import convert_to_openvino, open_runtime
from tests.helpers.exports import head_answers, planted_clips, save_planted_checkpoint

CLOSE = 1e-5
TINY_CLIP = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": [32, 48], "layers": 1, "width": 32, "head_width": 16,
                   "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}  # fmt: skip
PREPROCESSING = {"mean": [0.4] * 3, "std": [0.2] * 3, "interpolation": "bicubic",
                 "resize_mode": "shortest"}  # fmt: skip


def tiny_clip(folder: Path) -> ClipEncoder:
    """Return an image encoder with a wide input, OpenAI's activation and random weights."""
    folder.mkdir()
    torch.manual_seed(0)
    options = {name: value for name, value in TINY_CLIP.items() if name != "quick_gelu"}
    network = open_clip.CLIP(**options, quick_gelu=True)
    save_file(dict(network.state_dict()), folder / "open_clip_model.safetensors")
    config = {"model_cfg": TINY_CLIP, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return ClipEncoder(f"local-dir:{folder}", device="cpu", dtype="float32")


def write_both(graph: Graph, folder: Path) -> list[Path]:
    """Write a graph for ONNX Runtime and for OpenVINO."""
    files = [folder / f"{graph.name}.onnx", folder / f"{graph.name}.xml"]
    write_onnx(graph, files[0])
    convert_to_openvino(*files)
    return files


def assert_head_answers_as_torch(
    checkpoint: Checkpoint, folder: Path, lengths: list[int]
) -> list[Path]:
    """Compare the exported network with the checkpoint, clip by clip and as one padded batch."""
    files = write_both(head_graph(checkpoint), folder)
    clips = planted_clips(checkpoint.config.model.text, lengths)
    expected = checkpoint.predict(clips)
    for file in files:
        run = open_runtime(file)
        alone = [head_answers(run, [clip])[0] for clip in clips]
        for answers in (alone, head_answers(run, clips)):
            for prediction, answer in zip(expected, answers, strict=True):
                for branch, scores_T in prediction.scores.items():
                    np.testing.assert_allclose(answer[branch], scores_T, rtol=0, atol=CLOSE)
                np.testing.assert_allclose(
                    answer["probabilities"], prediction.probabilities_TC, rtol=0, atol=CLOSE
                )
    return files


def test_head_answers_as_torch_for_clips_of_any_length(tmp_path: Path) -> None:
    checkpoint = save_planted_checkpoint(
        tmp_path / "checkpoint", "model.text=explanation", "model.window=3", "model.max_snippets=20"
    )
    files = assert_head_answers_as_torch(checkpoint, tmp_path, [1, 2, 3, 4, 11, 20])
    for file in (*files, *tmp_path.glob("head.*")):
        assert b".py" not in file.read_bytes(), f"{file.name} names source files"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "lengths"),
    [
        (["model.text=none", "model.window=8", "model.layers=2"], [1, 7, 8, 9, 256]),
        (["model.text=captions", "model.fusion=gated", "model.window=9", "model.max_snippets=50"],
         [1, 9, 50]),
        (["model.text=explanation", "model.fusion=add", "model.label_prompt=learnable",
          "model.window=9", "model.max_snippets=5"], [1, 2, 5]),
        (["model.text=none", "model.max_snippets=1"], [1, 1]),
        (["model.text=grounded", "model.evidence=2", "model.features=standardised"], [1, 2, 40]),
    ],
    ids=["none", "captions", "window above the length", "one snippet", "grounded"],
)  # fmt: skip
def test_head_of_every_kind_answers_as_torch(
    tmp_path: Path, overrides: list[str], lengths: list[int]
) -> None:
    checkpoint = save_planted_checkpoint(tmp_path / "checkpoint", *overrides)
    assert_head_answers_as_torch(checkpoint, tmp_path, lengths)


def test_image_encoder_answers_as_torch_for_any_number_of_frames(tmp_path: Path) -> None:
    encoder = tiny_clip(tmp_path / "clip_weights")
    graph = image_encoder_graph(encoder)
    assert graph.inputs[0].shape == ("batch", 3, 32, 48)
    frames_NHWC = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), np.uint8)
    expected_ND = encoder.encode_images(frames_NHWC)
    pixels_NCHW = encoder.preprocess(frames_NHWC, encoder.device).numpy()
    for file in write_both(graph, tmp_path):
        run = open_runtime(file)
        for count in (1, 5):
            features_ND = run({"pixels": pixels_NCHW[:count]})["features"]
            np.testing.assert_allclose(features_ND, expected_ND[:count], rtol=0, atol=CLOSE)


class Unpredictable(nn.Module):
    """Computes something else for frames whose sum is positive, which no graph can say."""

    def forward(self, pixels_N: torch.Tensor) -> torch.Tensor:
        """Return the double of some inputs."""
        return 2 * pixels_N if float(pixels_N.sum()) > 0 else pixels_N


def test_write_onnx_refuses_a_module_that_torch_cannot_express(tmp_path: Path) -> None:
    pixels = Tensor("pixels", "float32", ("batch", 4), "")
    graph = Graph("clip", Unpredictable().eval(), (pixels,), (pixels,), {})
    with pytest.raises(ExportError, match=r"can't express the clip in ONNX \(.+\): leave it out"):
        write_onnx(graph, tmp_path / "clip.onnx")
    assert list(tmp_path.iterdir()) == []
