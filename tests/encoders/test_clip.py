"""Image preprocessing of CLIP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from exvad.encoders.clip import Preprocessing

CPU = torch.device("cpu")


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
