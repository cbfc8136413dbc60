"""The survey of packets: the real frames of a file, whatever its header says."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from exvad.video.survey import VideoInfo, probe
from tests.helpers.videos import FAST_VPX, decode_video, write_video

# Frames that show the indices 0 to 20, as FFmpeg's libtheora encodes them.
THEORA = Path(__file__).parent / "footage" / "media" / "theora.ogv"


def test_probe_returns_the_content(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 50, fps=20, size=(48, 36), b_frames=2)
    assert probe(path) == VideoInfo(str(path), 50, 20.0, 2.5, 48, 36, "h264")


def test_probe_counts_frames_if_the_header_is_wrong(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 30, codec="mpeg4")
    content = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 24), (b"strh", 40)):
        at = content.index(tag) + offset
        content[at : at + 4] = (9999).to_bytes(4, "little")
    path.write_bytes(content)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 9999
    assert probe(path).num_frames == 30
    assert decode_video(path)[0] == [0, 16]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.h264"])
def test_probe_accepts_a_video_of_one_frame(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 1)
    info = probe(path)
    assert info.num_frames == 1
    assert 0 < info.duration < 1
    indices, times, problems, _ = decode_video(path)
    assert (indices, times, problems) == ([0], [0.0], [])


def test_probe_ignores_packets_that_show_no_frame(tmp_path: Path) -> None:
    """VP8 has packets for reference frames that are not shown; one bit makes such a packet."""
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
    indices, _, problems, _ = decode_video(path, 1, 10)
    assert indices == [number for number in range(30) if number != 13]
    assert problems == []


def test_probe_drops_the_leading_frames_of_a_cut_program_stream(tmp_path: Path) -> None:
    """The times of a cut program stream are unreliable, as some packets repeat those of others."""
    whole = write_video(
        tmp_path / "a.mpg", 100, codec="mpeg2video", size=(64, 48), options={"bf": "2"}
    ).read_bytes()
    path = tmp_path / "cut.mpg"
    starts = set()
    for share in range(20, 80, 5):
        path.write_bytes(whole[len(whole) * share // 100 :])
        indices, _, problems, _ = decode_video(path, 1, 10)
        assert problems == []
        assert indices == list(range(indices[0], 100))
        starts.add(indices[0])
    assert len(starts) > 2


@pytest.mark.parametrize("seconds", [0.3, 2, 1000])
def test_probe_drops_no_frame_behind_a_stray_first_time(tmp_path: Path, seconds: float) -> None:
    path = write_video(tmp_path / "clip.ts", 100)
    content = bytearray(path.read_bytes())
    header = content.index(b"\0\0\1\xe0")
    for field in range(header + 9, header + 9 + content[header + 8], 5):
        move_time(content, field, round(seconds * 90_000))
    path.write_bytes(content)
    assert probe(path).num_frames == 100
    assert decode_video(path, 1, 10)[0] == list(range(100))


def move_time(content: bytearray, field: int, ticks: int) -> None:
    """Add to a time of a PES header (ISO/IEC 13818-1, 2.4.3.7)."""
    high, middle, low = content[field], *struct.unpack_from(">HH", content, field + 1)
    time = ((high >> 1 & 7) << 30 | (middle >> 1) << 15 | low >> 1) + ticks
    high = high & 0xF1 | (time >> 30 & 7) << 1
    struct.pack_into(
        ">BHH", content, field, high, (time >> 15 & 0x7FFF) << 1 | 1, (time & 0x7FFF) << 1 | 1
    )


@pytest.mark.parametrize("snippets", [4, 7])
def test_probe_does_not_count_the_headers_of_a_joined_recording(
    tmp_path: Path, snippets: int
) -> None:
    """In chunks of 7, the last one would have had headers only."""
    path = tmp_path / "joined.ogv"
    path.write_bytes(THEORA.read_bytes() * 2)
    assert probe(THEORA).num_frames == 21
    assert probe(path).num_frames == 42
    indices, _, problems, chunks = decode_video(path, 1, snippets)
    assert indices == [*range(21), *range(21)]
    assert problems == []
    assert len(chunks) == -(-42 // snippets)


@pytest.mark.shared
def test_probe_counts_the_frames_of_the_real_clips(shared_data: Path) -> None:
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


def test_probe_starts_a_cut_recording_at_its_first_keyframe(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", 100, size=(64, 48))
    content = path.read_bytes()
    path.write_bytes(content[int(len(content) * 0.4) // 188 * 188 :])
    indices, _, problems, _ = decode_video(path, 1, 7)
    assert problems == []
    assert indices[0] % 12 == 0
    assert indices == list(range(indices[0], 100))
    assert probe(path).num_frames == len(indices)
