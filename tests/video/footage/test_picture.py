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


def test_the_shape_of_pixels_may_change(tmp_path: Path) -> None:
    """As where a broadcast changes from 4:3 to 16:9."""
    path = tmp_path / "clip.ts"
    for first, aspect in ((0, Fraction(4, 3)), (20, Fraction(2))):
        part = write_video(tmp_path / f"{first}.ts", 20, size=SIZE, aspect=aspect, first=first)
        with path.open("ab") as joined:
            joined.write(part.read_bytes())
    info, chunks = plan_chunks("clip", path, 5, 4)
    assert (info.width, info.height) == (64, 32)
    shapes = [decode_chunk(chunk).frames.shape for chunk in chunks]
    assert shapes == [(4, 32, 64, 3), (4, 32, 96, 3)]


def orientation_unit(turns: int, mirrored: bool) -> bytes:
    """Return the SEI unit of an orientation that persists (ITU-T H.264, D.1.27); H.264."""
    bits = f"0{mirrored:b}0{turns << 14:016b}" + "010" + "0" + "1"
    return b"\0\0\0\1\x06\x2f\x03" + int(bits, 2).to_bytes(3, "big") + b"\x80"


@pytest.mark.parametrize("changes", [True, False])
@pytest.mark.parametrize("container", ["h264", "ts", "mkv"])
def test_an_orientation_that_some_frames_say_holds_for_the_next_ones(
    tmp_path: Path, changes: bool, container: str
) -> None:
    """It is said with a keyframe only, also for chunks that begin after it."""
    number, said = 0b101100010110, [(0, False), (1, False), (2, True), (3, False)]
    plain = write_video(tmp_path / "plain.h264", 5, size=(48, 48), first=number)
    _, (whole,) = plan_chunks("clip", plain, 1)
    stored = decode_chunk(whole).frames
    units, expected = plain.read_bytes(), list[Any]()
    path = tmp_path / "clip.h264"
    for turns, mirrored in said if changes else said[1:2] * 4:
        is_said = (turns or mirrored) and (changes or not expected)
        unit = orientation_unit(turns, mirrored) if is_said else b""
        slice_at = units.index(b"\0\0\1\x65")
        with path.open("ab") as joined:
            joined.write(units[:slice_at] + unit + units[slice_at:])
        flipped = stored[:, :, ::-1] if mirrored else stored
        expected += [np.rot90(frame, turns) for frame in flipped]
    if container != "h264":
        with av.open(str(path)) as source, av.open(f"{tmp_path}/clip.{container}", "w") as copy:
            stream = copy.add_stream_from_template(source.streams.video[0])
            for index, packet in enumerate(p for p in source.demux(video=0) if p.size):
                packet.pts = packet.dts = index
                packet.time_base, packet.stream = Fraction(1, 25), stream
                copy.mux(packet)
        path = tmp_path / f"clip.{container}"
    for snippets_per_chunk in (256, 3):
        _, chunks = plan_chunks("clip", path, 1, snippets_per_chunk)
        frames = np.concatenate([decode_chunk(chunk).frames for chunk in chunks])
        for shown, right in zip(frames, expected, strict=True):
            assert np.abs(shown.astype(int) - right).mean() < 6


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


@pytest.mark.parametrize(
    ("tag", "matrix"), [(3, "bt601"), (8, "bt601"), (10, "bt2020"), (14, "bt601"), (17, "bt601")]
)
def test_a_video_with_a_rare_tag_of_its_matrix_is_read(
    tmp_path: Path, tag: int, matrix: str
) -> None:
    """As cameras write that don't fill the field, or fill it with a reserved number."""
    plain = write_colour(tmp_path / "plain.h264", (64, 48), "yuv420p", 1, False)
    path = tmp_path / "clip.h264"
    with av.open(str(plain)) as source:
        stream = source.streams.video[0]
        bits = av.BitStreamFilterContext(f"h264_metadata=matrix_coefficients={tag}", stream)
        packets = [part for packet in source.demux(stream) for part in bits.filter(packet)]
        path.write_bytes(b"".join(bytes(packet) for packet in packets))
    colour = np.median(first_frame(path).reshape(-1, 3), axis=0)
    assert colour == pytest.approx(by_the_standard(matrix, False), abs=2.5)


def test_the_frames_of_a_mirrored_video_differ_from_the_stored_ones(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 3, size=SIZE, first=1)
    set_mp4_matrix(path, *MATRICES["mirrored"])
    expected = draw_index(1, SIZE)[:, ::-1]
    assert np.abs(first_frame(path).astype(int) - expected).mean() < 12
