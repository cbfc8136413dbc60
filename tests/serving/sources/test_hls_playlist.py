"""Playlists are read as far as watching needs them, and what is not supported is said in words."""

from __future__ import annotations

import pytest

from exvad.serving.sources.hls_playlist import (
    PlaylistError,
    Segment,
    choose_variant,
    parse_playlist,
)

LIVE = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:17
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.0,
a.m4s
#EXT-X-DISCONTINUITY
#EXTINF:3.5,
b.m4s?token=1
"""
MASTER = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1920x1080,CODECS="avc1.640028,mp4a.40.2"
high.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1500000,RESOLUTION=1280x720
middle.m3u8
"""


def test_parse_playlist_reads_segments() -> None:
    playlist = parse_playlist(LIVE)
    assert playlist.segments == (
        Segment("a.m4s", 17, "init.mp4"),
        Segment("b.m4s?token=1", 18, "init.mp4"),
    )
    assert (playlist.target_seconds, playlist.has_ended) == (4, False)
    assert parse_playlist("\ufeff" + LIVE + "#EXT-X-ENDLIST\r\n").has_ended


@pytest.mark.parametrize(
    ("short_side", "uri"), [(224, "low.m3u8"), (400, "middle.m3u8"), (2000, "high.m3u8")]
)
def test_choose_variant_takes_no_larger_picture_than_needed(short_side: int, uri: str) -> None:
    assert choose_variant(parse_playlist(MASTER).variants, short_side).uri == uri


def test_choose_variant_takes_the_best_without_sizes() -> None:
    text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb\n"
    assert choose_variant(parse_playlist(text).variants, 224).uri == "b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<html>", "no HLS playlist"),
        ("", "no HLS playlist"),
        ('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="key"\n', "encrypted"),
        ("#EXTM3U\n#EXT-X-BYTERANGE:100@0\na.ts\n", "parts of files"),
        ('#EXTM3U\n#EXT-X-MAP:URI="a.mp4",BYTERANGE="9@0"\n', "parts of files"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:soon\n", "a number that is none"),
    ],
)
def test_parse_playlist_says_what_is_not_supported(text: str, problem: str) -> None:
    with pytest.raises(PlaylistError, match=problem):
        parse_playlist(text)
