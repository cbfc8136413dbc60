"""Exported files beside torch: pictures per second of CLIP ViT-B/16, clips per second of the head.

Both have random weights. All programs run with one thread per core, in turn, in one process:
torch in float32 and in the precision that exvad chooses by itself (`auto`), ONNX Runtime and
OpenVINO in float32, and OpenVINO in the precision that it chooses by itself.

    python -m bench.export [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file

from bench._harness import emit
from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import load_config
from exvad.encoders.clip import ClipEncoder
from exvad.export.agreement import MAX_DIFFERENCE, head_difference, image_encoder_difference
from exvad.export.graphs import head_graph, image_encoder_graph, write_onnx
from exvad.export.runtimes import convert_to_openvino, open_runtime
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases

CLIP = "ViT-B-16-quickgelu"
WIDTH, SNIPPETS, CLASSES = 512, 256, 14
PARTS = (
    "clip_onnxruntime",
    "clip_openvino",
    "head_onnxruntime",
    "head_openvino",
)
GOALS = {f"{part}_difference": ("<=", MAX_DIFFERENCE) for part in PARTS}


def random_clip(folder: Path) -> str:
    """Write ViT-B/16 with random weights as a folder of open_clip; return its name for exvad."""
    torch.manual_seed(0)
    network = open_clip.create_model(CLIP)
    settings = open_clip.get_model_preprocess_cfg(network)
    save_file(dict(network.state_dict()), folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(CLIP), "preprocess_cfg": settings}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def random_checkpoint() -> Checkpoint:
    """Return an untrained network of the paper's size for UCF-Crime."""
    config = load_config("ucf_crime", [])
    torch.manual_seed(0)
    network = build_network(config, WIDTH, CLASSES).eval()
    phrases = {f"class {number}": ["phrase"] for number in range(CLASSES)}
    labels = LabelPhrases(phrases=phrases, origin="bench")
    label_CD = torch.randn(CLASSES, WIDTH)
    return Checkpoint(network, label_CD, labels, config, Calibration(), {}, {})


def openvino_by_itself(path: Path, threads: int) -> Callable[[Mapping[str, Any]], Any]:
    """Load a file as OpenVINO does without settings of the precision."""
    import openvino

    model: Callable[[Mapping[str, Any]], Any] = openvino.Core().compile_model(
        path, "CPU", {"INFERENCE_NUM_THREADS": threads}
    )
    return model


def measure(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each function; they run in turn, the first time not timed.

    Args:
        runs: name → function.
        rounds: timed runs of each.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
        print(f"round {number}/{rounds}", file=sys.stderr)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure_clip(folder: Path, frames: int, rounds: int, threads: int) -> dict[str, float]:
    """Measure the image encoder in pictures per second, and how far the files are from torch."""
    weights = folder / "weights"
    weights.mkdir()
    name = random_clip(weights)
    exact, auto = (ClipEncoder(name, device="cpu", dtype=dtype) for dtype in ("float32", "auto"))
    onnx, xml = folder / "clip.onnx", folder / "clip.xml"
    write_onnx(image_encoder_graph(exact), onnx)
    convert_to_openvino(onnx, xml)
    by_onnxruntime, by_openvino = open_runtime(onnx, threads), open_runtime(xml, threads)
    by_itself = openvino_by_itself(xml, threads)
    size = (exact.preprocess.height, exact.preprocess.width)
    pixels_NCHW = torch.randn(frames, 3, *size)
    inputs = {"pixels": pixels_NCHW.numpy()}

    def by_torch(encoder: ClipEncoder) -> None:
        with torch.inference_mode():
            encoder.network.encode_image(pixels_NCHW.to(encoder.dtype)).float()

    seconds = measure(
        {
            "torch_float32": lambda: by_torch(exact),
            "torch_auto": lambda: by_torch(auto),
            "onnxruntime": lambda: by_onnxruntime(inputs),
            "openvino": lambda: by_openvino(inputs),
            "openvino_own_precision": lambda: by_itself(inputs),
        },
        rounds,
    )
    speeds = {f"clip_{name}_pictures_per_second": frames / s for name, s in seconds.items()}
    return {
        **speeds,
        "clip_onnxruntime_difference": image_encoder_difference(exact, by_onnxruntime),
        "clip_openvino_difference": image_encoder_difference(exact, by_openvino),
        "clip_openvino_own_precision_difference": image_encoder_difference(
            exact, lambda arrays: {"features": by_itself(arrays)[0]}
        ),
    }


def measure_head(folder: Path, rounds: int, threads: int) -> dict[str, float]:
    """Measure the network in clips of 256 snippets per second, one clip at a time."""
    checkpoint = random_checkpoint()
    graph = head_graph(checkpoint)
    onnx, xml = folder / "head.onnx", folder / "head.xml"
    write_onnx(graph, onnx)
    convert_to_openvino(onnx, xml)
    by_onnxruntime, by_openvino = open_runtime(onnx, threads), open_runtime(xml, threads)
    tensors = [
        torch.randn(1, SNIPPETS, WIDTH),
        torch.tensor([SNIPPETS]),
        torch.randn(1, WIDTH),
    ]
    inputs = {
        tensor.name: np.asarray(value) for tensor, value in zip(graph.inputs, tensors, strict=True)
    }

    def by_torch() -> None:
        with torch.inference_mode():
            checkpoint.network(*tensors, checkpoint.label_CD)

    seconds = measure(
        {
            "torch": by_torch,
            "onnxruntime": lambda: by_onnxruntime(inputs),
            "openvino": lambda: by_openvino(inputs),
        },
        rounds,
    )
    return {
        **{f"head_{name}_clips_per_second": 1 / s for name, s in seconds.items()},
        "head_onnxruntime_difference": head_difference(checkpoint, by_onnxruntime),
        "head_openvino_difference": head_difference(checkpoint, by_openvino),
    }


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pictures and rounds")
    quick = parser.parse_args().quick
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        clip = measure_clip(Path(folder), *((4, 2) if quick else (16, 10)), threads)
        head = measure_head(Path(folder), 5 if quick else 50, threads)
    emit("export", {**clip, **head}, GOALS)


if __name__ == "__main__":
    main()
