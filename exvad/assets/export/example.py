"""Score a video with the files of this folder: `python example.py VIDEO`.

Needs numpy, Pillow, av, and onnxruntime or openvino. Prints one JSON object: seconds, anomaly score
and most probable class of every snippet, and the threshold above which a snippet is abnormal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Floats = NDArray[np.float32]

FOLDER = Path(__file__).resolve().parent
EXPORT: dict[str, Any] = json.loads((FOLDER / "export.json").read_text("utf-8"))
FRAMES_AT_ONCE = 16


def load(part: str) -> Callable[..., dict[str, Floats]]:
    """Return a function from inputs to outputs, both by name."""
    path = FOLDER / EXPORT["files"][part]["file"]
    names = [output["name"] for output in EXPORT["files"][part]["outputs"]]
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda **inputs: dict(zip(names, session.run(names, inputs), strict=True))
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda **inputs: dict(zip(names, model(inputs).values(), strict=True))


def preprocess(image: Image.Image) -> Floats:
    """Return a frame as CLIP takes it, float32 [3, height, width]."""
    settings = EXPORT["preprocessing"]
    size = settings["width"], settings["height"]
    bilinear = settings["interpolation"] == "bilinear"
    method = Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC
    if settings["resize_mode"] == "squash":
        image = image.resize(size, method)
    elif settings["resize_mode"] == "shortest":
        image = ImageOps.fit(image, size, method)
    else:
        image = ImageOps.pad(image, size, method, (settings["fill_color"],) * 3)
    pixels = (np.asarray(image) / 255 - settings["mean"]) / settings["std"]
    channels_first: Floats = pixels.transpose(2, 0, 1).astype(np.float32)
    return channels_first


def encode(video: str) -> tuple[list[float], Floats]:
    """Return the seconds and the features of every snippet."""
    clip = load("clip")
    stride = EXPORT["snippets"]["frames_per_snippet"]
    seconds = EXPORT["snippets"]["seconds_per_snippet"]
    newest = -1
    times: list[float] = []
    features: list[Floats] = []
    waiting: list[Floats] = []
    with av.open(video) as container:
        for index, frame in enumerate(container.decode(video=0)):
            time = float(frame.time or 0)
            number = int((time + 1e-3) // seconds) if seconds else index // stride
            if number > newest:
                newest = number
                times.append(time)
                waiting.append(preprocess(Image.fromarray(frame.to_ndarray(format="rgb24"))))
            if len(waiting) == FRAMES_AT_ONCE:
                features.append(clip(pixels=np.stack(waiting))["features"])
                waiting = []
    if waiting:
        features.append(clip(pixels=np.stack(waiting))["features"])
    return times, np.concatenate(features).astype(np.float16).astype(np.float32)


def score(features: Floats) -> tuple[Floats, Floats]:
    """Return the anomaly score and the class probabilities of every snippet."""
    head = load("head")
    limit = EXPORT["snippets"]["max_per_run"]
    scores, probabilities = [], []
    for start in range(0, len(features), limit):
        piece = features[None, start : start + limit]
        inputs = {"visual": piece, "lengths": np.array([piece.shape[1]])}
        if EXPORT["text"] == "explanation":
            inputs["text"] = np.zeros_like(piece[:, 0])
        elif EXPORT["text"] != "none":
            inputs["text"] = np.zeros_like(piece)
        outputs = head(**inputs)
        scores.append(outputs[EXPORT["decision"]["branch"]][0])
        probabilities.append(outputs["probabilities"][0])
    return np.concatenate(scores), np.concatenate(probabilities)


if __name__ == "__main__":
    times, features = encode(sys.argv[1])
    scores, probabilities = score(features)
    answer = {
        "times": times,
        "scores": scores.tolist(),
        "classes": [EXPORT["classes"][index] for index in probabilities.argmax(1)],
        "threshold": EXPORT["decision"]["threshold"],
    }
    print(json.dumps(answer))
