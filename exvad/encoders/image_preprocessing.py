"""How a CLIP model takes its frames: resized, cropped or padded, and normalised.

Equal to open_clip's `image_transform` for every frame size, but for whole batches on any device.

N frames · H, W pixels · C color channels
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
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
        fill_color: value of the padding, 0 to 255.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_mode: str
    interpolation: str
    fill_color: int = 0

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
            int(settings.get("fill_color", 0)),
        )

    def resized_shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that a frame is resized to before it is cropped or padded.

        Args:
            height: of the frame, in pixels.
            width: of the frame, in pixels.
        """
        if self.resize_mode == "squash":
            return self.height, self.width
        if self.resize_mode == "shortest" and self.height == self.width:
            # torchvision, which resizes here, truncates the longer side; open_clip rounds it.
            shorter, longer = sorted((height, width))
            resized = int(self.height * longer / shorter)
            return (self.height, resized) if height <= width else (resized, self.width)
        ratios = height / self.height, width / self.width
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)
        return round(height / ratio), round(width / ratio)

    def __call__(
        self, frames_NHWC: NDArray[np.uint8] | torch.Tensor, device: torch.device
    ) -> torch.Tensor:
        """Resize, crop or pad, and normalise frames.

        Args:
            frames_NHWC: RGB, uint8, all of one size. A tensor in pinned memory is copied to a GPU
                while the caller goes on.
            device: where to compute.

        Returns:
            float32 [N, 3, height, width].
        """
        import torch
        from open_clip.transform import center_crop_or_pad
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional as F

        height, width = frames_NHWC.shape[1:3]
        # Nothing here waits for the GPU, so that the caller can give it the next batch.
        options: dict[str, Any] = {"device": device, "non_blocking": device.type == "cuda"}
        pixels_NCHW: torch.Tensor = torch.as_tensor(frames_NHWC).to(**options).permute(0, 3, 1, 2)
        target = self.resized_shape(height, width)
        if target != (height, width):
            bilinear = self.interpolation == "bilinear" and self._resized_by_torchvision
            mode = InterpolationMode.BILINEAR if bilinear else InterpolationMode.BICUBIC
            # GPUs have no kernel for bytes: torchvision then computes in float and rounds.
            pixels_NCHW = F.resize(pixels_NCHW, list(target), mode, antialias=True)
        pixels_NCHW = center_crop_or_pad(pixels_NCHW, [self.height, self.width], self.fill_color)
        mean = torch.tensor(self.mean).view(1, 3, 1, 1).to(**options)
        std = torch.tensor(self.std).view(1, 3, 1, 1).to(**options)
        return (pixels_NCHW.float() / 255 - mean) / std

    @property
    def _resized_by_torchvision(self) -> bool:
        """Whether the interpolation is used: open_clip drops it for inputs that are not square."""
        return self.resize_mode != "shortest" or self.height == self.width
