"""Pictures as players show them: turned, mirrored, stretched, with the right colours.

The right values come from arithmetic, and from the program `ffmpeg` where it is installed.
"""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from exvad.video.footage.picture import Geometry
from exvad.video.survey import probe
from tests.helpers.videos import draw_index, read_indices, set_mp4_matrix, write_video

SIZE = (48, 32)
MATRICES = {
    "upright": (1, 0, 0, 1),
    "clockwise": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "counter-clockwise": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "flipped": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}


def first_frame(path: Path, short_side: int | None = None) -> NDArray[np.uint8]:
    """Return the first frame of a video as exvad decodes it."""
    _, (chunk,) = plan_chunks("clip", path)
    frame: NDArray[np.uint8] = decode_chunk(chunk, short_side).frames[0]
    return frame


def shown_by_ffmpeg(path: Path, filters: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the first frame of a video as the program ffmpeg shows it; `size` is (W, H)."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", filters, "-frames:v", "1"]
    output = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    )
    return np.frombuffer(output.stdout, np.uint8).reshape(size[1], size[0], 3)


def by_the_matrix(
    stored: NDArray[np.uint8], a: float, b: float, c: float, d: float
) -> NDArray[np.uint8]:
    """Return a frame with each of its pixels where the matrix says."""
    height, width = stored.shape[:2]
    y, x = np.mgrid[:height, :width]
    shown_x, shown_y = (a * x + c * y).astype(int), (b * x + d * y).astype(int)
    shown_x, shown_y = shown_x - shown_x.min(), shown_y - shown_y.min()
    shown = np.empty((shown_y.max() + 1, shown_x.max() + 1, 3), np.uint8)
    shown[shown_y, shown_x] = stored
    return shown


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_the_whole_display_matrix_applies(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = write_video(tmp_path / "clip.mp4", 3, size=SIZE, first=0b101100010110)
    stored = first_frame(path)
    set_mp4_matrix(path, *matrix)
    shown = first_frame(path)
    np.testing.assert_array_equal(shown, by_the_matrix(stored, *matrix))
    info = probe(path)
    assert (info.height, info.width) == shown.shape[:2]
    if shutil.which("ffmpeg"):
        reference = shown_by_ffmpeg(path, "scale=flags=area", (info.width, info.height))
        assert np.abs(shown.astype(int) - reference).mean() < 2


def test_an_angle_between_quarter_turns_is_rounded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 3, size=SIZE)
    cosine, sine = np.cos(np.radians(100)), np.sin(np.radians(100))
    set_mp4_matrix(path, cosine, sine, -sine, cosine)
    assert (probe(path).width, probe(path).height) == (32, 48)
    set_mp4_matrix(path, 0, 0, 0, 0)
    assert (probe(path).width, probe(path).height) == (48, 32)


@pytest.mark.parametrize(
    ("stored", "aspect", "shown"),
    [
        ((48, 64), Fraction(8, 3), (128, 64)),
        ((64, 48), Fraction(1, 2), (64, 96)),
        ((64, 48), Fraction(1), (64, 48)),
        ((704, 288), Fraction(12, 11), (768, 288)),
        ((64, 48), Fraction(1000, 1), (64, 48)),
    ],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path,
    name: str,
    stored: tuple[int, int],
    aspect: Fraction,
    shown: tuple[int, int],
) -> None:
    path = write_video(tmp_path / name, 20, size=stored, aspect=aspect)
    info = probe(path)
    assert (info.width, info.height) == shown
    _, (chunk,) = plan_chunks("clip", path, 6)
    frames = decode_chunk(chunk).frames
    assert frames.shape[1:3] == shown[::-1]
    assert read_indices(frames) == [0, 6, 12, 18]
    small = decode_chunk(chunk, 24).frames
    assert min(small.shape[1:3]) == 24
    assert small.shape[2] / small.shape[1] == pytest.approx(shown[0] / shown[1], rel=0.05)


def test_squeezed_pixels_are_stretched_before_the_frame_is_turned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 3, size=(48, 64), aspect=Fraction(8, 3))
    set_mp4_matrix(path, *MATRICES["clockwise"])
    assert (probe(path).width, probe(path).height) == (64, 128)
    assert first_frame(path).shape == (128, 64, 3)


def test_the_size_of_a_picture_never_shrinks_but_to_the_short_side() -> None:
    assert Geometry(aspect=0.5).size(64, 48) == (64, 96)
    assert Geometry(aspect=0.5).size(64, 48, 32) == (32, 48)
    assert Geometry(turns=1, aspect=2).shown_size(64, 48) == (48, 128)
    assert Geometry().size(64, 48, 500) == (64, 48)


LUMA, BLUE, RED = 150, 90, 160  # Y, Cb, Cr of 8 bits
MATRIX_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def by_the_standard(matrix: str, is_full: bool) -> tuple[float, float, float]:
    """Return red, green and blue of the colour, as BT.601, BT.709 or BT.2020 define them."""
    luma = LUMA / 255 if is_full else (LUMA - 16) / 219
    scale = 255 if is_full else 224
    blue_difference, red_difference = (BLUE - 128) / scale, (RED - 128) / scale
    red_weight, blue_weight = MATRIX_WEIGHTS[matrix]
    red = luma + 2 * (1 - red_weight) * red_difference
    blue = luma + 2 * (1 - blue_weight) * blue_difference
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return red * 255, green * 255, blue * 255


def write_colour(
    path: Path,
    size: tuple[int, int],
    pix_fmt: str,
    colorspace: int | None,
    is_full: bool | None,
) -> Path:
    """Write a video of one colour, with or without tags of its matrix and range."""
    bits = 10 if "10" in pix_fmt else 8
    scale, dtype = 2 ** (bits - 8), np.dtype(np.uint16 if bits > 8 else np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if is_full is not None:
            stream.codec_context.color_range = 2 if is_full else 1
        for _ in range(2):
            frame = av.VideoFrame(*size, pix_fmt)
            if colorspace is not None:
                frame.colorspace = colorspace
            if is_full is not None:
                frame.color_range = 2 if is_full else 1
            for plane, value in zip(frame.planes, (LUMA, BLUE, RED), strict=True):
                samples = plane.buffer_size // dtype.itemsize
                plane.update(np.full(samples, value * scale, dtype).tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("size", "pix_fmt", "colorspace", "is_full", "matrix"),
    [
        ((64, 48), "yuv420p", 6, False, "bt601"),
        ((64, 48), "yuv420p", 1, False, "bt709"),
        ((64, 48), "yuv420p", 6, True, "bt601"),
        ((64, 48), "yuv420p", 1, True, "bt709"),
        ((64, 48), "yuv420p10le", 1, False, "bt709"),
        ((64, 48), "yuv420p10le", 9, False, "bt2020"),
        ((64, 48), "yuv420p10le", 1, True, "bt709"),
        ((64, 48), "yuv444p", 1, False, "bt709"),
        ((64, 48), "yuv420p", None, None, "bt601"),
        ((720, 576), "yuv420p", None, None, "bt601"),
        ((1280, 720), "yuv420p", None, None, "bt709"),
        ((1280, 720), "yuv420p10le", None, None, "bt709"),
        ((608, 1080), "yuv420p", None, None, "bt709"),
        ((1280, 720), "yuv420p", 6, False, "bt601"),
    ],
)
def test_colours_follow_their_tags_and_untagged_ones_the_size(
    tmp_path: Path,
    size: tuple[int, int],
    pix_fmt: str,
    colorspace: int | None,
    is_full: bool | None,
    matrix: str,
) -> None:
    path = write_colour(tmp_path / "clip.mp4", size, pix_fmt, colorspace, is_full)
    for short_side in (None, 24):
        frame = first_frame(path, short_side)
        colour = np.median(frame.reshape(-1, 3), axis=0)
        assert colour == pytest.approx(by_the_standard(matrix, bool(is_full)), abs=2.5)
    if shutil.which("ffmpeg"):
        scale = f"scale=in_color_matrix={matrix}:in_range={'pc' if is_full else 'tv'}"
        reference = np.median(shown_by_ffmpeg(path, scale, size).reshape(-1, 3), axis=0)
        assert colour == pytest.approx(reference, abs=2)


def test_the_frames_of_a_mirrored_video_differ_from_the_stored_ones(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 3, size=SIZE, first=1)
    set_mp4_matrix(path, *MATRICES["mirrored"])
    expected = draw_index(1, SIZE)[:, ::-1]
    assert np.abs(first_frame(path).astype(int) - expected).mean() < 12
