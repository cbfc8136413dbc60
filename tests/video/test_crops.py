"""Crops are views of the frame, where they say."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.video.crops import crop_frames

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(32, 48), (48, 32), (1, 1), (40, 40)])
def test_corners_are_squares_that_touch_their_corner(shape: tuple[int, int]) -> None:
    frames = RNG.integers(0, 256, (2, *shape, 3), np.uint8)
    side = max(1, round(min(shape) * 7 / 8))
    for crop, (row, column) in enumerate([(0, 0), (0, -1), (-1, 0), (-1, -1)], 1):
        square = crop_frames(frames, crop)
        assert square.shape == (2, side, side, 3)
        np.testing.assert_array_equal(square[:, row, column], frames[:, row, column])


@pytest.mark.parametrize("crop", range(5))
def test_the_second_five_are_the_first_five_mirrored(crop: int) -> None:
    frames = RNG.integers(0, 256, (1, 16, 24, 3), np.uint8)
    np.testing.assert_array_equal(
        crop_frames(frames, crop + 5), np.flip(crop_frames(frames, crop), axis=2)
    )


def test_the_first_is_the_whole_frame_and_there_are_ten() -> None:
    frames = RNG.integers(0, 256, (1, 16, 24, 3), np.uint8)
    np.testing.assert_array_equal(crop_frames(frames, 0), frames)
    views = {crop_frames(frames, crop).tobytes() for crop in range(10)}
    assert len(views) == 10
    with pytest.raises(ValueError, match="crops 0 to 9"):
        crop_frames(frames, 10)
