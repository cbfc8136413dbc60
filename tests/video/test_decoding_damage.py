"""Decoding damaged files: a VideoError, or what is still there with its problems."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk
from exvad.video.survey import probe
from tests.helpers.videos import decode_video, read_indices, truncated, write_video


def test_a_truncated_mp4_with_its_index_gives_the_frames_it_has(tmp_path: Path) -> None:
    path = truncated(write_video(tmp_path / "clip.mp4", 200, faststart=True), 0.6)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 200
    there = probe(path).num_frames
    assert 20 < there < 190
    indices, _, problems, _ = decode_video(path, 1, 50)
    # Half of the last frame is left: it counts, and the frame before replaces it.
    assert len(indices) == there
    assert indices[:-1] == list(range(there - 1))
    assert len(problems) == (indices[-1] != there - 1)


def test_a_truncated_transport_stream_gives_the_frames_it_has(tmp_path: Path) -> None:
    path = truncated(write_video(tmp_path / "clip.ts", 200), 0.6)
    there = probe(path).num_frames
    assert 20 < there < 190
    indices = decode_video(path, 1, 50)[0]
    assert len(indices) == there
    assert indices[:-1] == list(range(there - 1))


def test_decode_chunk_names_a_file_that_shrank_after_planning(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 200, faststart=True)
    _, chunks = plan_chunks("clip", path, 16, 4)
    truncated(path, 0.5).replace(path)
    assert read_indices(decode_chunk(chunks[0]).frames) == [0, 16, 32, 48]
    with pytest.raises(VideoError, match=r"no frame can be decoded from second \d") as caught:
        decode_chunk(chunks[-1])
    assert caught.value.path == str(path)


def test_decode_chunk_replaces_missing_frames_with_their_neighbour(tmp_path: Path) -> None:
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
    position=st.floats(0, 1),
    length=st.integers(1, 3000),
    seed=st.none() | st.integers(0, 2**32 - 1),
)
def test_corrupted_bytes_never_crash(
    intact: Path, name: str, position: float, length: int, seed: int | None
) -> None:
    """Zeros or noise anywhere: a VideoError, or a frame for every planned snippet."""
    content = bytearray((intact / name).read_bytes())
    start = int(position * (len(content) - 1))
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
def test_damage_midway_leaves_the_other_frames_intact(
    intact: Path, tmp_path: Path, name: str
) -> None:
    content = bytearray((intact / name).read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 50] = bytes(len(content) // 50)
    path = tmp_path / name
    path.write_bytes(content)
    indices = decode_video(path, 8)[0]
    assert indices[:4] == [0, 8, 16, 24]
    assert len(indices) in (11, 12)
    assert abs(probe(path).num_frames - 96) <= 4
