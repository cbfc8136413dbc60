"""Video files: what is really in them, chunk by chunk, and one sentence for what is no video."""

from __future__ import annotations

import json
import pickle
import tempfile
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exvad.video.chunks import Chunk, VideoInfo, plan_chunks, probe
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk, read_frames
from tests.helpers.videos import (
    draw_index,
    read_index,
    read_indices,
    truncated,
    write_audio,
    write_video,
)


def decoded(
    path: Path | str, stride: int = 16, snippets_per_chunk: int = 256, short_side: int | None = None
) -> tuple[list[int], list[float], list[str], list[Chunk]]:
    """Plan and decode a whole video: indices seen, their times, problems, chunks."""
    _, chunks = plan_chunks("clip", path, stride, snippets_per_chunk)
    indices: list[int] = []
    times: list[float] = []
    problems: list[str] = []
    for chunk in chunks:
        result = decode_chunk(chunk, short_side)
        assert result.frames.dtype == np.uint8
        assert result.frames.shape[0] == len(result.times) == chunk.num_snippets
        indices += read_indices(result.frames)
        times += result.times.tolist()
        problems += result.problems
    return indices, times, problems, chunks


FAST_VPX = {"cpu-used": "16", "deadline": "realtime"}
FORMATS = [
    ("clip.mp4", {"codec": "libx264"}),
    ("clip.mkv", {"codec": "libx264"}),
    ("clip.ts", {"codec": "libx264"}),
    ("clip.h264", {"codec": "libx264"}),
    ("clip.avi", {"codec": "mpeg4"}),
    ("clip.mp4", {"codec": "mpeg4"}),
]


@settings(max_examples=25, deadline=None)
@given(
    name_and_codec=st.sampled_from(FORMATS),
    num_frames=st.integers(1, 70),
    gop=st.integers(1, 40),
    b_frames=st.integers(0, 3),
    stride=st.sampled_from([1, 5, 16]),
    snippets_per_chunk=st.integers(1, 6),
)
def test_chunks_decode_to_the_frames_of_a_sequential_pass(
    name_and_codec: tuple[str, dict[str, Any]],
    num_frames: int,
    gop: int,
    b_frames: int,
    stride: int,
    snippets_per_chunk: int,
) -> None:
    name, codec = name_and_codec
    if name == "clip.ts":  # FFmpeg itself does not recognise one of very few packets
        num_frames += 10
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(Path(folder, name), num_frames, gop=gop, b_frames=b_frames, **codec)
        indices, times, problems, chunks = decoded(path, stride, snippets_per_chunk)
        info = probe(path)
    assert info.num_frames == num_frames
    assert indices == list(range(0, num_frames, stride))
    assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
    assert problems == []
    assert [chunk.chunk for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.num_snippets == snippets_per_chunk for chunk in chunks[:-1])
    assert [chunk.first_frame for chunk in chunks] == [
        chunk.first_snippet * stride for chunk in chunks
    ]


def test_a_chunk_has_the_very_pixels_of_the_whole_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 60, gop=25, b_frames=2)
    _, [whole] = plan_chunks("clip", path, 7)
    _, chunks = plan_chunks("clip", path, 7, 2)
    frames = np.concatenate([decode_chunk(chunk).frames for chunk in chunks])
    assert np.array_equal(frames, decode_chunk(whole).frames)
    red_green_blue = frames[1][:8, :8].mean(axis=(0, 1))  # the lowest bit of frame 7
    assert red_green_blue == pytest.approx([255, 170, 60], abs=25)


def test_probe_tells_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 50, fps=20, size=(48, 36), b_frames=2)
    assert probe(path) == VideoInfo(str(path), 50, 20.0, 2.5, 48, 36, "h264")


def test_a_header_that_lies_about_the_length_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 30, codec="mpeg4")
    content = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 24), (b"strh", 40)):
        place = content.index(tag) + offset
        content[place : place + 4] = (9999).to_bytes(4, "little")
    path.write_bytes(content)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 9999
    assert probe(path).num_frames == 30
    assert decoded(path)[0] == [0, 16]


@settings(max_examples=12, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 900), min_size=1, max_size=40),
    suffix=st.sampled_from([".mp4", ".mkv"]),
    b_frames=st.integers(0, 2),
)
def test_times_of_a_variable_rate_are_those_of_the_frames(
    gaps: list[int], suffix: str, b_frames: int
) -> None:
    milliseconds = np.cumsum([0, *gaps]).tolist()
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(
            Path(folder, f"clip{suffix}"),
            len(milliseconds),
            milliseconds=milliseconds,
            b_frames=b_frames,
        )
        indices, times, problems, _ = decoded(path, 4, 3)
        info = probe(path)
    assert indices == list(range(0, len(milliseconds), 4))
    assert times == pytest.approx([milliseconds[index] / 1000 for index in indices], abs=1e-3)
    assert problems == []
    assert info.fps * milliseconds[-1] / 1000 == pytest.approx(len(gaps), abs=0.51)
    assert info.duration == pytest.approx(milliseconds[-1] / 1000 + 1 / info.fps)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.h264"])
def test_one_frame_is_a_video(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 1)
    info = probe(path)
    assert info.num_frames == 1
    assert 0 < info.duration < 1
    indices, times, problems, _ = decoded(path)
    assert (indices, times, problems) == ([0], [0.0], [])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("clip.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("clip.mkv", {"codec": "ffv1"}),
        ("clip.webm", {"codec": "libvpx", "options": FAST_VPX}),
        ("clip.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "8"}}),
        ("clip.mp4", {"pix_fmt": "gray"}),
        ("clip.mp4", {"pix_fmt": "yuv420p10le"}),
        ("clip.mp4", {"pix_fmt": "yuv444p", "size": (37, 29)}),
        ("clip.mkv", {"codec": "ffv1", "size": (37, 29)}),
        ("clip.mkv", {"codec": "ffv1", "pix_fmt": "gray10le"}),
    ],
)
def test_codecs_and_pixel_formats(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    size = {"size": (32, 24), **options}["size"]
    path = write_video(tmp_path / name, 35, **options)
    info = probe(path)
    assert (info.num_frames, info.width, info.height) == (35, *size)
    indices, times, problems, chunks = decoded(path, 8, 2)
    assert indices == [0, 8, 16, 24, 32]
    assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
    assert problems == []
    assert decode_chunk(chunks[0]).frames.shape[1:] == (size[1], size[0], 3)


def test_packets_that_show_nothing_are_no_frames(tmp_path: Path) -> None:
    """VP8's alternate reference frames have packets of their own; here is one, made by its bit."""
    original = write_video(tmp_path / "clip.webm", 30, codec="libvpx", options=FAST_VPX)
    path = tmp_path / "hidden.webm"
    with av.open(str(original)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                content = bytearray(bytes(packet))
                assert content[0] & 0x10
                content[0] ^= 0x10 * (number == 13)
                copy = av.Packet(bytes(content))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe = packet.is_keyframe
                copy.stream = stream
                target.mux(copy)
    assert probe(path).num_frames == 29
    indices, _, problems, _ = decoded(path, 1, 10)
    assert indices == [number for number in range(30) if number != 13]
    assert problems == []


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_video_that_lies_on_its_side_is_turned_upright(tmp_path: Path, turns: int) -> None:
    path = write_video(tmp_path / "clip.mp4", 33, size=(48, 32), turns=turns)
    info = probe(path)
    assert (info.width, info.height) == (48, 32)
    _, [chunk] = plan_chunks("clip", path)
    frames = decode_chunk(chunk).frames
    assert frames.shape == (3, 32, 48, 3)
    assert read_indices(frames) == [0, 16, 32]
    assert decode_chunk(chunk, 16).frames.shape == (3, 16, 24, 3)


def test_a_resolution_that_changes_midway_keeps_the_first_size(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.h264", 20)
    large = write_video(tmp_path / "large.h264", 20, size=(64, 48), first=20)
    path = tmp_path / "both.h264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    info, [chunk] = plan_chunks("clip", path, 8)
    result = decode_chunk(chunk)
    assert (info.num_frames, info.width, info.height) == (40, 32, 24)
    assert result.frames.shape == (5, 24, 32, 3)
    assert read_indices(result.frames) == [0, 8, 16, 24, 32]
    assert result.problems == []


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((64, 48), 24, (24, 32)),
        ((48, 64), 24, (32, 24)),
        ((64, 48), 48, (48, 64)),
        ((64, 48), 500, (48, 64)),
        ((64, 48), None, (48, 64)),
        ((200, 16), 12, (12, 150)),
    ],
)
def test_pictures_are_scaled_down_to_the_short_side_and_never_up(
    tmp_path: Path, size: tuple[int, int], short_side: int | None, expected: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "clip.mp4", 20, size=size)
    _, [chunk] = plan_chunks("clip", path)
    frames = decode_chunk(chunk, short_side).frames
    assert frames.shape == (2, *expected, 3)
    assert read_indices(frames) == [0, 16]


def test_a_truncated_video_with_its_index_gives_what_is_there(tmp_path: Path) -> None:
    path = truncated(write_video(tmp_path / "clip.mp4", 200, faststart=True), 0.6)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 200
    there = probe(path).num_frames
    assert 20 < there < 190
    indices, _, problems, _ = decoded(path, 1, 50)
    # Half a picture is left of the last frame: it counts, and the one before stands in for it.
    assert len(indices) == there
    assert indices[:-1] == list(range(there - 1))
    assert len(problems) == (indices[-1] != there - 1)


def test_a_truncated_transport_stream_gives_what_is_there(tmp_path: Path) -> None:
    path = truncated(write_video(tmp_path / "clip.ts", 200), 0.6)
    there = probe(path).num_frames
    assert 20 < there < 190
    indices = decoded(path, 1, 50)[0]
    assert len(indices) == there
    assert indices[:-1] == list(range(there - 1))


def no_index(folder: Path) -> Path:
    return truncated(write_video(folder / "clip.mp4", 60), 0.6)


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("Dear reader,\nthis is no video.\n" * 50)
    return folder / "text.mp4"


def only_header(folder: Path) -> Path:
    path = write_video(folder / "clip.mp4", 20, faststart=True)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "missing.mp4", "there is no such file"),
        (lambda folder: folder, "is a folder, not a video file"),
        (empty, "the file is empty"),
        (text, "can't be read as a video"),
        (no_index, "can't be read as a video"),
        (only_header, "no frame"),
        (lambda folder: write_audio(folder / "audio.m4a"), "has no video stream"),
    ],
)
def test_what_is_no_video_is_named_with_a_reason(tmp_path: Path, make: Any, reason: str) -> None:
    path = make(tmp_path)
    for read in (probe, lambda it: plan_chunks("clip", it), lambda it: read_frames(it, [0.0], 24)):
        with pytest.raises(VideoError, match=reason) as caught:
            read(path)
        assert caught.value.path == str(path)
        assert str(caught.value) == f"{path}: {caught.value.reason}"


@pytest.mark.parametrize("address", ["memory://nowhere/clip.mp4", "nonsense://clip.mp4"])
def test_an_address_that_cannot_be_read_is_named_with_a_reason(address: str) -> None:
    with pytest.raises(VideoError, match=address):
        probe(address)


def test_an_address_is_read_like_a_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 40, b_frames=2)
    address = "memory://videos/clip.mp4"
    with fsspec.open(address, "wb") as target:
        target.write(path.read_bytes())
    assert probe(address).num_frames == 40
    assert decoded(address, 16, 1)[0] == [0, 16, 32]


@pytest.mark.parametrize("name", ["Heat: part 1.mp4", "50 %d #1?.mp4", "-v.mp4", "日本.mp4"])
def test_any_file_name_is_a_file_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "clip.mp4", 20).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert decoded(name)[0] == decoded(tmp_path / name)[0] == [0, 16]


def test_a_file_that_shrinks_after_planning_fails_by_name(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 200, faststart=True)
    _, chunks = plan_chunks("clip", path, 16, 4)
    truncated(path, 0.5).replace(path)
    assert read_indices(decode_chunk(chunks[0]).frames) == [0, 16, 32, 48]
    with pytest.raises(VideoError, match=r"no frame can be decoded from second \d") as caught:
        decode_chunk(chunks[-1])
    assert caught.value.path == str(path)


def test_snippets_that_cannot_be_decoded_get_their_neighbour_and_a_problem(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 120, gop=10, faststart=True)
    _, [chunk] = plan_chunks("clip", path, 10)
    truncated(path, 0.6).replace(path)
    there = len(range(0, probe(path).num_frames - 1, 10))
    result = decode_chunk(chunk)
    last = 10 * (there - 1)
    assert read_indices(result.frames) == [*range(0, last + 1, 10), *[last] * (12 - there)]
    [problem] = result.problems
    assert problem.startswith(f"{12 - there} of 12 frames can't be decoded")
    assert f"{(last + 10) / 25:.1f}" in problem


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intact")
    for name, codec in [("a.mp4", "libx264"), ("a.ts", "libx264"), ("a.avi", "mpeg4")]:
        write_video(folder / name, 96, gop=12, b_frames=1, codec=codec)
    return folder


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["a.mp4", "a.ts", "a.avi"]),
    place=st.floats(0, 1),
    length=st.integers(1, 3000),
    seed=st.none() | st.integers(0, 2**32 - 1),
)
def test_corrupted_bytes_never_crash(
    intact: Path, name: str, place: float, length: int, seed: int | None
) -> None:
    """Zeros or noise anywhere: a VideoError, or pictures for every snippet that is promised."""
    content = bytearray((intact / name).read_bytes())
    start = int(place * (len(content) - 1))
    length = min(length, len(content) - start)
    noise = bytes(length) if seed is None else np.random.default_rng(seed).bytes(length)
    content[start : start + length] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            info, chunks = plan_chunks("clip", path, 16, 2)
        except VideoError:
            return
        assert sum(chunk.num_snippets for chunk in chunks) == -(-info.num_frames // 16)
        for chunk in chunks:
            try:
                result = decode_chunk(chunk)
            except VideoError:
                continue
            assert len(result.frames) == chunk.num_snippets
            assert np.all(np.isfinite(result.times))
            assert np.all(np.diff(result.times) > 0)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi"])
def test_damage_midway_leaves_the_rest_right(intact: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((intact / name).read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 50] = bytes(len(content) // 50)
    path = tmp_path / name
    path.write_bytes(content)
    indices = decoded(path, 8)[0]
    assert indices[:4] == [0, 8, 16, 24]
    assert len(indices) in (11, 12)
    assert abs(probe(path).num_frames - 96) <= 4


def test_a_chunk_travels_as_a_row(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.h264"):
        _, chunks = plan_chunks("clip", write_video(tmp_path / name, 40), 16, 2)
        for chunk in chunks:
            row = chunk.to_row()
            assert Chunk.from_row(row) == chunk
            assert Chunk.from_row(json.loads(json.dumps(row))) == chunk
            assert pickle.loads(pickle.dumps(chunk)) == chunk
            lists = {name: np.array(row[name]) for name in row if isinstance(row[name], tuple)}
            rebuilt = Chunk.from_row({**row, **lists})  # as Arrow hands them back
            assert rebuilt == chunk
            assert np.array_equal(decode_chunk(rebuilt).frames, decode_chunk(chunk).frames)


def test_a_video_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(VideoError("a.mp4", "the file is empty")))
    assert isinstance(error, VideoError)
    assert isinstance(error, ValueError)
    assert (error.path, error.reason) == ("a.mp4", "the file is empty")
    assert str(error) == "a.mp4: the file is empty"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.h264"])
def test_frames_are_those_shown_at_the_moments(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 40, size=(64, 48), b_frames=2)
    pictures: list[NDArray[np.uint8]] = read_frames(path, [1.0, 0.0, 0.99, 0.04, 1e6, -5.0], 24)
    assert [picture.shape for picture in pictures] == [(24, 32, 3)] * 6
    assert read_indices(pictures) == [25, 0, 24, 1, 39, 0]


@given(index=st.integers(0, 4095), width=st.integers(16, 70), height=st.integers(12, 70))
def test_an_index_drawn_is_an_index_read(index: int, width: int, height: int) -> None:
    assert read_index(draw_index(index, (width, height))) == index


@pytest.mark.shared
def test_the_real_clips_have_as_many_frames_as_decode(shared_data: Path) -> None:
    paths = sorted(
        path for path in (shared_data / "videos").rglob("*") if path.suffix in (".mp4", ".avi")
    )
    assert len(paths) == 61
    for number, path in enumerate(paths):
        info, [chunk] = plan_chunks("clip", path)
        with av.open(str(path), options={"skip_loop_filter": "all"}) as container:
            container.streams.video[0].thread_type = "AUTO"
            frames = sum(1 for _ in container.decode(video=0))
        assert info.num_frames == frames, path.name
        assert info.duration == pytest.approx(frames / info.fps)
        assert chunk.num_snippets == len(range(0, frames, 16))
        if path.name == "vtest.avi":
            assert (frames, info.width, info.height) == (795, 768, 576)
        if number % 6 == 0:
            result = decode_chunk(chunk, 64)
            assert result.problems == []
            assert min(result.frames.shape[1:3]) == 64
