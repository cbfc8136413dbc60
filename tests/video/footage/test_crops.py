"""The ten crops of a frame."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.video.footage.crops import crop_frames

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(32, 48), (48, 32), (1, 1), (40, 40)])
def test_crops_1_to_4_are_squares_in_the_corners(shape: tuple[int, int]) -> None:
    frames = RNG.integers(0, 256, (2, *shape, 3), np.uint8)
    side = max(1, round(min(shape) * 7 / 8))
    for crop, (row, column) in enumerate([(0, 0), (0, -1), (-1, 0), (-1, -1)], 1):
        square = crop_frames(frames, crop)
        assert square.shape == (2, side, side, 3)
        np.testing.assert_array_equal(square[:, row, column], frames[:, row, column])


@pytest.mark.parametrize("crop", range(5))
def test_crops_5_to_9_are_mirrored(crop: int) -> None:
    frames = RNG.integers(0, 256, (1, 16, 24, 3), np.uint8)
    np.testing.assert_array_equal(
        crop_frames(frames, crop + 5), np.flip(crop_frames(frames, crop), axis=2)
    )


def test_crop_0_is_the_whole_frame_and_there_are_ten_crops() -> None:
    frames = RNG.integers(0, 256, (1, 16, 24, 3), np.uint8)
    np.testing.assert_array_equal(crop_frames(frames, 0), frames)
    crops = {crop_frames(frames, crop).tobytes() for crop in range(10)}
    assert len(crops) == 10
    with pytest.raises(ValueError, match="crops 0 to 9"):
        crop_frames(frames, 10)
