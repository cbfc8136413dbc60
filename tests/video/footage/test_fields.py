"""Field-coded H.264: two packets are one frame."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest

from exvad.video.container import VideoError
from exvad.video.footage.fields import FieldPairs
from exvad.video.survey import probe
from tests.helpers.videos import decode_video, write_video

FIELDS = Path(__file__).parent / "media" / "fields.h264"
"""17 frames of 25 per second, each coded as two fields, which show their index."""
FRAMES = 17


def with_times(target: Path, per_field: bool) -> Path:
    """Copy the fields to a container with a time per field, or per frame; return the container."""
    with av.open(str(FIELDS)) as source, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        assert len(packets) == 2 * FRAMES
        units = packets if per_field else packets[::2]
        for index, packet in enumerate(units):
            content = bytes(packet) if per_field else bytes(packet) + bytes(packets[2 * index + 1])
            unit = av.Packet(content)
            unit.pts = unit.dts = index
            unit.time_base = Fraction(1, 50 if per_field else 25)
            unit.is_keyframe = index % 2 == 0 if per_field else True
            unit.stream = stream
            copy.mux(unit)
    return target


@pytest.mark.parametrize("name", ["fields.h264", "fields.ts", "fields.mkv", "frames.ts"])
def test_two_fields_are_one_frame(tmp_path: Path, name: str) -> None:
    path = FIELDS if name == "fields.h264" else with_times(tmp_path / name, "fields" in name)
    info = probe(path)
    assert (info.num_frames, info.width, info.height) == (FRAMES, 16, 32)
    assert info.duration == pytest.approx(0.68, abs=2e-3)
    assert info.fps == pytest.approx(25, abs=0.1)
    for stride, snippets_per_chunk in ((1, 256), (3, 2), (16, 1)):
        indices, times, problems, _ = decode_video(path, stride, snippets_per_chunk)
        assert indices == list(range(0, FRAMES, stride))
        assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
        assert problems == []


def test_frames_that_are_not_coded_as_fields_are_not_looked_into(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.ts", "clip.h264"):
        with av.open(str(write_video(tmp_path / name, 20))) as container:
            pairs = FieldPairs(container.streams.video[0])
            assert not pairs.are_possible
            assert not any(pairs.is_second(packet) for packet in container.demux(video=0))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts"])
@pytest.mark.parametrize("coding", ["interlaced=1:tff=1", "fake-interlaced=1"])
def test_frames_of_an_interlaced_sequence_are_counted_one_by_one(
    tmp_path: Path, name: str, coding: str
) -> None:
    options = {"x264-params": f"{coding}:bframes=2:b-adapt=0:keyint=12"}
    path = write_video(tmp_path / name, 40, size=(64, 64), options=options)
    with av.open(str(path)) as container:
        assert FieldPairs(container.streams.video[0]).are_possible
    assert probe(path).num_frames == 40
    indices, _, problems, _ = decode_video(path, 7, 2)
    assert indices == list(range(0, 40, 7))
    assert problems == []


def test_a_frame_without_its_second_field_moves_no_other_frame(tmp_path: Path) -> None:
    path = with_times(tmp_path / "whole.mkv", per_field=True)
    damaged = tmp_path / "damaged.mkv"
    with av.open(str(path)) as source, av.open(str(damaged), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux(video=0)):
            if packet.size and index != 9:
                packet.stream = stream
                copy.mux(packet)
    indices, times, _, _ = decode_video(damaged, 1)
    assert indices[:4] == [0, 1, 2, 3]
    assert indices[5:] == list(range(5, FRAMES))
    assert times == pytest.approx([index / 25 for index in range(FRAMES)], abs=2e-3)


def test_damaged_headers_give_no_field(tmp_path: Path) -> None:
    content = bytearray(FIELDS.read_bytes())
    for start in range(4, 40):
        damaged = bytearray(content)
        damaged[start] ^= 0xFF
        path = tmp_path / f"{start}.h264"
        path.write_bytes(damaged)
        with suppress(VideoError):
            assert 1 <= probe(path).num_frames <= 2 * FRAMES
