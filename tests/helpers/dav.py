"""Recordings of Dahua's recorders (.dav): a frame lies between DHAV and dhav, with its date."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from pathlib import Path

import av

from tests.helpers.videos import write_video

RATE = 25
_KEY, _OTHER = 0xFD, 0xFC
_H264 = 2


def write_dav(path: Path, num_frames: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Write a recording of 25 frames per second whose frames show their index; return its path.

    Args:
        path: the file.
        num_frames: number of frames.
        size: width and height.
    """
    elementary = write_video(path.with_suffix(".h264"), num_frames, size=size)
    began = datetime(2026, 11, 28, 9, 59, 58)
    content = b""
    with av.open(str(elementary)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        for index, packet in enumerate(packets):
            time = began + timedelta(milliseconds=1000 * index // RATE)
            content += _unit(bytes(packet), index, packet.is_keyframe, time, size)
    elementary.unlink()
    path.write_bytes(content)
    return path


def _unit(frame: bytes, index: int, is_key: bool, time: datetime, size: tuple[int, int]) -> bytes:
    extensions = struct.pack("<BBBB", 0x81, 0, _H264, RATE)
    extensions += struct.pack("<BxxxHH", 0x82, *size)
    length = 24 + len(extensions) + len(frame) + 8
    date = time.year - 2000
    for value, bits in (
        *((time.month, 4), (time.day, 5)),
        *((time.hour, 5), (time.minute, 6), (time.second, 6)),
    ):
        date = date << bits | value
    kind = _KEY if is_key else _OTHER
    milliseconds = index * 1000 // RATE % 2**16
    head = struct.pack("<4sBBBBIII", b"DHAV", kind, 0, 1, 0, index, length, date)
    head += struct.pack("<HBB", milliseconds, len(extensions), 0)
    return head + extensions + frame + struct.pack("<4sI", b"dhav", length)
