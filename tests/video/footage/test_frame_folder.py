"""Folders of frames: a video with one image per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.sandbox import DecodingProcess
from exvad.video.survey import probe
from tests.helpers.videos import decode_video, draw_index, read_index, read_indices


def write_frames(folder: Path, count: int, name: str = "frame{}.jpg") -> Path:
    """Write images that show their index; return their folder."""
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(draw_index(index, (64, 48))).save(folder / name.format(index))
    return folder


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "bmp", "webp", "tif", "ppm"])
def test_the_images_are_frames_in_the_order_of_their_numbers(tmp_path: Path, suffix: str) -> None:
    folder = write_frames(tmp_path / "50 %d [a] #1?", 40, f"frame{{}}.{suffix}")
    (folder / "notes.txt").write_text("not a frame")
    (folder / ".hidden.jpg").write_text("not a frame")
    info = probe(folder, 10)
    assert (info.num_frames, info.fps, info.duration) == (40, 10, 4)
    assert (info.width, info.height) == (64, 48)
    assert info.notes == ()
    for snippets_per_chunk in (256, 2):
        indices, times, problems, _ = decode_video(folder, 8, snippets_per_chunk)
        assert indices == [0, 8, 16, 24, 32]
        assert times == pytest.approx(np.arange(5) * 8 / 25)
        assert problems == []
    assert read_indices(read_frames(folder, [3.9, 0, 1.05], 24, 10)) == [39, 0, 10]


def test_the_rate_of_a_folder_is_that_of_the_setting(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip", 60)
    _, (chunk,) = plan_chunks("clip", folder, 16, 256, 0.5, 29.97)
    assert chunk.frames == (0, 15, 30, 45)
    assert chunk.times == pytest.approx([index / 29.97 for index in chunk.frames])
    with DecodingProcess() as process:
        info, chunks = process.plan("clip", folder, 16, 256, 0.5, 29.97)
        assert chunks == [chunk]
        assert info == probe(folder, 29.97)
        assert read_indices(process.decode(chunk).frames) == [0, 15, 30, 45]


def test_a_damaged_image_is_replaced_by_its_neighbour(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip", 12)
    (folder / "frame4.jpg").write_bytes(b"")
    (folder / "frame5.jpg").write_text("no image")
    _, (chunk,) = plan_chunks("clip", folder, 1)
    result = decode_chunk(chunk)
    indices = read_indices(result.frames)
    assert indices[:4] == [0, 1, 2, 3]
    assert indices[6:] == list(range(6, 12))
    assert len(result.problems) == 1
    assert "2 of 12 frames can't be decoded" in result.problems[0]


def test_images_of_another_format_are_named(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip", 12)
    Image.fromarray(draw_index(0, (64, 48))).save(folder / "cover.png")
    info = probe(folder)
    assert info.num_frames == 12
    assert info.notes == ("1 images of another format are left out",)


def test_images_are_turned_and_scaled_like_other_frames(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    stored = np.ascontiguousarray(np.rot90(draw_index(9, (64, 48))))
    for index in range(3):
        Image.fromarray(stored).save(folder / f"{index}.jpg", exif=exif)
    _, (chunk,) = plan_chunks("clip", folder, 1)
    frame = decode_chunk(chunk, 24).frames[0]
    assert frame.shape == (24, 32, 3)
    assert read_index(frame) == 9


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_every_image_is_shown_as_its_own_exif_orientation_says(tmp_path: Path, suffix: str) -> None:
    """All eight orientations, also mirrored ones; the right pictures come from Pillow."""
    expected = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(draw_index(0b101100010110, (48, 48)))
        image.save(tmp_path / f"{orientation}.{suffix}", exif=exif)
        with Image.open(tmp_path / f"{orientation}.{suffix}") as stored:
            expected.append(np.asarray(ImageOps.exif_transpose(stored).convert("RGB")))
    _, (chunk,) = plan_chunks("clip", tmp_path, 1)
    for shown, right in zip(decode_chunk(chunk).frames, expected, strict=True):
        assert np.abs(shown.astype(int) - right).mean() < 6
    with DecodingProcess() as process:
        np.testing.assert_array_equal(process.decode(chunk).frames, decode_chunk(chunk).frames)


def test_a_folder_without_images_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a frame")
    with pytest.raises(VideoError, match="a folder of frames has images"):
        probe(tmp_path)
    (tmp_path / "a.jpg").write_text("not a frame")
    with pytest.raises(VideoError, match="none of its frames can be decoded"):
        probe(tmp_path)
