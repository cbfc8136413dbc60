"""Image preprocessing of CLIP, beside open_clip's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from open_clip.transform import image_transform
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

from exvad.encoders.image_preprocessing import Preprocessing

CPU = torch.device("cpu")
FRAME_SIZES = [
    (320, 240), (455, 256), (240, 320), (224, 224), (341, 256), (333, 225), (100, 77),
    (227, 600), (225, 225), (1280, 720),
]  # fmt: skip


def smooth_frame(width: int, height: int) -> NDArray[np.uint8]:
    """Return an RGB frame without hard edges, [height, width, 3]."""
    coarse = np.random.default_rng(width).integers(0, 256, (6, 8, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)


def preprocessing(resize_mode: str, size: int | tuple[int, int] = 8) -> Preprocessing:
    """Return a preprocessing that only rescales values to -1 to 1."""
    settings: dict[str, Any] = {
        "size": size,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "resize_mode": resize_mode,
        "interpolation": "bicubic",
    }
    return Preprocessing.from_open_clip(settings)


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(16, 32), (32, 16), (8, 8), (5, 4)])
def test_preprocessing_gives_frames_of_the_models_size(
    resize_mode: str, size: tuple[int, int]
) -> None:
    frames_NHWC = np.full((2, *size, 3), 255, np.uint8)
    pixels_NCHW = preprocessing(resize_mode, (8, 8))(frames_NHWC, CPU)
    assert pixels_NCHW.shape == (2, 3, 8, 8)
    assert pixels_NCHW.dtype == torch.float32


def test_preprocessing_normalises_values() -> None:
    frames_NHWC = np.zeros((1, 8, 8, 3), np.uint8)
    frames_NHWC[..., 0] = 255
    pixels_NCHW = preprocessing("squash")(frames_NHWC, CPU)
    torch.testing.assert_close(pixels_NCHW[0, 0], torch.ones(8, 8))
    torch.testing.assert_close(pixels_NCHW[0, 1:], -torch.ones(2, 8, 8))


def test_preprocessing_crops_the_centre_or_pads_the_border() -> None:
    frames_NHWC = np.zeros((1, 8, 16, 3), np.uint8)
    frames_NHWC[:, :, 4:12] = 255
    assert (preprocessing("shortest")(frames_NHWC, CPU) == 1).all()
    padded_NCHW = preprocessing("longest")(frames_NHWC, CPU)
    assert (padded_NCHW[:, :, :2] == -1).all()
    assert (padded_NCHW[:, :, 6:] == -1).all()
    assert padded_NCHW[0, 0, 4, 4] > 0.9


@pytest.mark.parametrize("frame_size", FRAME_SIZES)
@pytest.mark.parametrize(
    ("resize_mode", "size"),
    [("shortest", 224), ("shortest", (224, 160)), ("longest", 224), ("squash", 224)],
)
def test_preprocessing_equals_open_clips_transform(
    resize_mode: str, size: int | tuple[int, int], frame_size: tuple[int, int]
) -> None:
    settings: dict[str, Any] = {
        "size": size,
        "mean": [0.48, 0.46, 0.41],
        "std": [0.27, 0.26, 0.28],
        "resize_mode": resize_mode,
        "interpolation": "bicubic",
        "fill_color": 7,
    }
    frame_HWC = smooth_frame(*frame_size)
    reference = image_transform(is_train=False, image_size=settings.pop("size"), **settings)
    ours = Preprocessing.from_open_clip({"size": size, **settings})
    reference_CHW = reference(Image.fromarray(frame_HWC))
    (ours_CHW,) = ours(frame_HWC[None], CPU)
    assert ours_CHW.shape == reference_CHW.shape
    # PIL and torch round bicubic weights differently: a few of 255 steps, at edges.
    difference = (ours_CHW - reference_CHW).abs() * 0.27 * 255
    assert difference.max() < 4
    assert difference.mean() < 0.3


def test_preprocessing_truncates_the_longer_side_as_torchvision_does() -> None:
    shape = preprocessing("shortest", 224).resized_shape(240, 320)
    assert shape == (224, 298)


def test_preprocessing_runs_on_a_gpu_where_bytes_have_no_kernel() -> None:
    frames_NHWC = np.zeros((2, 24, 32, 3), np.uint8)
    with FakeTensorMode(allow_non_fake_inputs=True):
        pixels_NCHW = preprocessing("shortest", 8)(frames_NHWC, torch.device("cuda"))
    assert pixels_NCHW.device.type == "cuda"
    assert pixels_NCHW.shape == (2, 3, 8, 8)
