"""CLIP's image and text encoder, E_I and E_T, by open_clip.

N frames or texts · H, W pixels · C color channels · L tokens · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.encoders.devices import resolve_device, resolve_dtype
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Preprocessing:
    """The image preprocessing of a CLIP model, as open_clip stores it with each model.

    Args:
        height: of the model's input, in pixels.
        width: of the model's input, in pixels.
        mean: per color channel, of values from 0 to 1.
        std: per color channel.
        resize_mode: `shortest` (scale the shorter side, then crop), `longest` (scale the longer
            side, then pad) or `squash` (ignore the aspect ratio).
        interpolation: `bicubic` or `bilinear`; any other value means bicubic.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_mode: str
    interpolation: str

    @classmethod
    def from_open_clip(cls, settings: dict[str, Any]) -> Preprocessing:
        """Read open_clip's `preprocess_cfg`."""
        size = settings["size"]
        height, width = (size, size) if isinstance(size, int) else size
        return cls(
            height,
            width,
            tuple(settings["mean"]),
            tuple(settings["std"]),
            settings["resize_mode"],
            settings["interpolation"],
        )

    def __call__(self, frames_NHWC: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
        """Resize, crop or pad, and normalise frames.

        Args:
            frames_NHWC: RGB, uint8, all of one size.
            device: where to compute.

        Returns:
            float32 [N, 3, height, width].
        """
        import torch
        from torch.nn import functional as F

        pixels_NCHW = torch.from_numpy(frames_NHWC).to(device).permute(0, 3, 1, 2)
        frame_height, frame_width = pixels_NCHW.shape[2:]
        if self.resize_mode == "squash":
            target = (self.height, self.width)
        else:
            choose = max if self.resize_mode == "shortest" else min
            scale = choose(self.height / frame_height, self.width / frame_width)
            target = (round(frame_height * scale), round(frame_width * scale))
        if target != (frame_height, frame_width):
            mode = (
                self.interpolation if self.interpolation in ("bicubic", "bilinear") else "bicubic"
            )
            pixels_NCHW = F.interpolate(
                pixels_NCHW, target, mode=mode, align_corners=False, antialias=True
            )
        top, left = (target[0] - self.height) // 2, (target[1] - self.width) // 2
        if self.resize_mode == "shortest":
            pixels_NCHW = pixels_NCHW[:, :, top : top + self.height, left : left + self.width]
        elif top or left:
            padding = (-left, self.width - target[1] + left, -top, self.height - target[0] + top)
            pixels_NCHW = F.pad(pixels_NCHW, padding)
        mean = torch.tensor(self.mean, device=device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=device).view(1, 3, 1, 1)
        return (pixels_NCHW.float() / 255 - mean) / std


class ClipEncoder:
    """A frozen open_clip model.

    Args:
        model: an open_clip name (`ViT-B-16`), `local-dir:FOLDER`, or `package:NAME`.
        pretrained: the weights of a named model (`openai`); empty for a folder.
        device: `auto` or a torch device.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        batch_size: frames or texts per forward pass.

    Raises:
        ModelUnavailableError: the weights cannot be found.
    """

    def __init__(
        self,
        model: str,
        pretrained: str = "",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 64,
    ) -> None:
        import open_clip

        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        self.batch_size = batch_size
        folder = resolve_model(model)
        name = f"local-dir:{folder}" if folder != model else model
        try:
            network = open_clip.create_model(name, pretrained=pretrained or None)
            self.tokenize = open_clip.get_tokenizer(name)
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelUnavailableError(model, error) from error
        self.network = network.to(self.device, self.dtype).eval().requires_grad_(False)
        self.preprocess = Preprocessing.from_open_clip(open_clip.get_model_preprocess_cfg(network))
        self.width = int(self.encode_texts(["a"]).shape[1])

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB frames, uint8 [N, H, W, 3] of one size, into features, float32 [N, D]."""
        import torch

        features = []
        with torch.inference_mode():
            for start in range(0, len(frames), self.batch_size):
                pixels_NCHW = self.preprocess(frames[start : start + self.batch_size], self.device)
                features.append(self.network.encode_image(pixels_NCHW.to(self.dtype)).float().cpu())
        return torch.cat(features).numpy() if features else np.empty((0, self.width), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, each truncated to the context length, into features, float32 [N, D]."""
        import torch

        features = []
        with torch.inference_mode():
            for start in range(0, len(texts), self.batch_size):
                tokens_NL = self.tokenize(list(texts[start : start + self.batch_size]))
                features.append(self.network.encode_text(tokens_NL.to(self.device)).float().cpu())
        return torch.cat(features).numpy() if features else np.empty((0, self.width), np.float32)
