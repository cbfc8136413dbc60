"""Footage of every kind is understood in the sandbox as without it: files, folders of frames."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from exvad.data.storage.errors import StorageError
from exvad.video.chunks import plan_chunks
from exvad.video.container import DecodingLimitError, VideoError
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.sandbox import DecodingProcess
from tests.helpers.dav import write_dav
from tests.helpers.sandbox import responding
from tests.helpers.videos import (
    draw_index,
    remux,
    set_mp4_matrix,
    write_streams,
    write_video,
)

FIELDS = Path(__file__).parent / "footage" / "media" / "fields.h264"
SETTINGS: tuple[tuple[int, int, float, float], ...] = ((4, 5, 0.0, 25), (16, 3, 0.4, 12.5))


def write_cut_dav(folder: Path) -> Path:
    content = write_dav(folder / "whole.dav", 100).read_bytes()
    path = folder / "cut.dav"
    path.write_bytes(content[len(content) // 5 :])
    return path


def write_doubled(folder: Path) -> Path:
    source = write_video(folder / "a.mkv", 60)
    return remux(source, folder / "b.mkv", lambda n, time: time - 40 if n == 30 else time)


def write_mirrored(folder: Path) -> Path:
    path = write_video(folder / "a.mp4", 40, size=(64, 48))
    set_mp4_matrix(path, -1, 0, 0, 1)
    return path


def write_frames(folder: Path, suffix: str = "jpg") -> Path:
    folder = folder / "door 3 #1"
    folder.mkdir()
    for index in range(40):
        Image.fromarray(draw_index(index, (64, 48))).save(folder / f"frame{index}.{suffix}")
    return folder


def write_damaged_frames(folder: Path) -> Path:
    frames = write_frames(folder)
    (frames / "frame4.jpg").write_bytes(b"")
    (frames / "frame5.jpg").write_text("no image")
    image = (frames / "frame6.jpg").read_bytes()
    (frames / "frame6.jpg").write_bytes(image[: len(image) // 2])
    Image.fromarray(draw_index(0, (64, 48))).save(frames / "cover.png")
    return frames


FOOTAGE: dict[str, Any] = {
    "cut.dav": write_cut_dav,
    "doubled time": write_doubled,
    "mirrored": write_mirrored,
    "fields": lambda folder: Path(shutil.copy(FIELDS, folder)),
    "raw": lambda folder: write_video(folder / "a.h264", 60),
    "streams": lambda folder: write_streams(folder / "a.mkv", 1),
    "avi": lambda folder: write_video(folder / "a.avi", 60, codec="mpeg4", b_frames=2),
    "folder": write_frames,
    **{suffix: lambda folder, suffix=suffix: write_frames(folder, suffix) for suffix in
       ("png", "bmp", "webp", "tif", "ppm")},
    "damaged folder": write_damaged_frames,
}  # fmt: skip


@pytest.mark.parametrize("kind", FOOTAGE)
def test_footage_is_understood_in_the_sandbox_as_without(tmp_path: Path, kind: str) -> None:
    path = FOOTAGE[kind](tmp_path)
    with DecodingProcess() as sandbox:
        for stride, snippets_per_chunk, seconds, fps in SETTINGS:
            arguments = ("v", path, stride, snippets_per_chunk, seconds, fps)
            info, chunks = sandbox.plan(*arguments)
            assert (info, chunks) == plan_chunks(*arguments)
            for chunk in chunks:
                theirs, ours = sandbox.decode(chunk, 24), decode_chunk(chunk, 24)
                np.testing.assert_array_equal(theirs.frames, ours.frames)
                assert theirs.problems == ours.problems
        times = [0.35, 0.0]
        for shown, expected in zip(
            sandbox.read_frames(path, times, 24, 10), read_frames(path, times, 24, 10), strict=True
        ):
            np.testing.assert_array_equal(shown, expected)


def test_damaged_images_are_named(tmp_path: Path) -> None:
    with DecodingProcess() as sandbox:
        info, (chunk,) = sandbox.plan("v", write_damaged_frames(tmp_path), 1, 256)
        (problem,) = sandbox.decode(chunk).problems
    assert info.notes == ("1 images of another format are left out",)
    assert "of 40 frames can't be decoded (at second 0.2, 0.2" in problem


def test_a_folder_whose_images_change_is_named(tmp_path: Path) -> None:
    folder = write_frames(tmp_path)
    with DecodingProcess(seconds=30) as sandbox:
        _, (chunk,) = sandbox.plan("v", folder, 16, 256)
        for image in sorted(folder.iterdir())[1:]:
            image.unlink()
        with pytest.raises(VideoError, match="no frame can be decoded"):
            sandbox.decode(chunk.from_row({**chunk.to_row(), "times": [1.0], "pts": [25]}))
        for image in folder.iterdir():
            image.unlink()
        with pytest.raises(VideoError, match="a folder of frames has images"):
            sandbox.plan("v", folder, 16, 256)
        os.mkfifo(folder / "0.jpg")
        with pytest.raises(VideoError, match="a folder of frames has images"):
            sandbox.plan("v", folder, 16, 256)


@pytest.mark.parametrize("wanted", [[0, 10**9], [-1, 5], [10**9, 1], "frame0.jpg"])
def test_a_folder_is_read_within_its_images_only(tmp_path: Path, wanted: Any) -> None:
    command = responding(json.dumps({"read": wanted}) + "\n")
    with (
        DecodingProcess(command=command) as sandbox,
        pytest.raises(DecodingLimitError, match="invalid response"),
    ):
        sandbox.plan("v", write_frames(tmp_path), 8, 5)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EIO, VideoError), (errno.ESTALE, StorageError)]
)
def test_a_folder_that_can_not_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[ValueError],
) -> None:
    """The parent reads its images, and says why it can't."""

    def fail(*_: int) -> bytes:
        raise OSError(number, "the disk failed")

    monkeypatch.setattr("exvad.data.storage.frame_folders.os.pread", fail)
    with DecodingProcess() as sandbox, pytest.raises(expected, match="the disk failed"):
        sandbox.plan("v", write_frames(tmp_path), 8, 5)
