"""Parameter sets are found between start codes, and nowhere else."""

from __future__ import annotations

import pytest

from exvad.video.footage.parameter_sets import read_parameter_sets

H264 = b"\0\0\0\1\x09\xf0" + b"\0\0\0\1\x67ab" + b"\0\0\1\x68cd" + b"\0\0\1\x65picture"
HEVC = b"\0\0\1\x40\1ab" + b"\0\0\1\x42\1cd" + b"\0\0\1\x44\1ef" + b"\0\0\1\x26\1picture"


@pytest.mark.parametrize(
    ("codec", "packet", "expected"),
    [
        ("h264", H264, b"\0\0\0\1\x67ab\0\0\0\1\x68cd"),
        ("hevc", HEVC, b"\0\0\0\1\x40\1ab\0\0\0\1\x42\1cd\0\0\0\1\x44\1ef"),
        ("h264", b"\0\0\0\x05" + H264, b""),
        ("mpeg4", H264, b""),
        ("h264", b"", b""),
    ],
)
def test_read_parameter_sets(codec: str, packet: bytes, expected: bytes) -> None:
    assert read_parameter_sets(codec, packet) == expected
