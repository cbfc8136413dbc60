"""HLS streams are followed: from near the end, in order, each segment once, until they end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.hls import HlsReader, Position, read_rest
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.frame_buffer import Notice
from tests.helpers.hls import HlsServer, hls_server, playlist, split
from tests.helpers.videos import read_index, write_video

PARTS = {f"{number}.ts": f"<{number}>".encode() for number in range(9)}
NAMES = list(PARTS)


def read(
    server: HlsServer,
    position: Position,
    name: str = "live.m3u8",
    sent: list[bytes] | None = None,
) -> str:
    """Follow a stream to its end; return what was sent, also where it breaks off."""
    sent = [] if sent is None else sent
    fetcher = Fetcher(ServerSettings.model_validate({"url_networks": ["127.0.0.0/8"]}))
    reader = HlsReader(fetcher, 224, position, sent.append)

    async def follow() -> None:
        async with fetcher.open_located(server.url(name)) as (location, parts):
            content = await read_rest(b"", parts)
        await reader.follow(location, content)

    asyncio.run(follow())
    return b"".join(sent).decode()


def test_a_live_playlist_is_followed_from_near_its_end() -> None:
    playlists = [
        playlist(NAMES[:5]),
        playlist(NAMES[1:6], first=1),
        playlist(NAMES[1:6], first=1),
        playlist(NAMES[2:7], first=2, ended=True),
    ]
    position = Position()
    with hls_server(PARTS, playlists) as server:
        assert read(server, position) == "<2><3><4><5><6>"
    assert position.number == 6


def test_a_complete_playlist_is_read_from_its_beginning() -> None:
    with hls_server(PARTS, [playlist(NAMES[:5], ended=True)]) as server:
        assert read(server, Position()) == "<0><1><2><3><4>"


def test_a_lost_segment_breaks_off_and_the_next_connection_goes_on_there() -> None:
    position = Position()
    files = {name: PARTS[name] for name in NAMES if name != "5.ts"}
    with hls_server(files, [playlist(NAMES[:7], ended=True)]) as server:
        with pytest.raises(ValueError, match="status 404"):
            read(server, position)
        server.files = PARTS
        assert read(server, position) == "<5><6>"


def test_the_smallest_sufficient_quality_is_read_relative_to_its_playlist() -> None:
    master = (
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1920x1080\nhigh/x.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=3,RESOLUTION=640x360\nlow/x.m3u8\n"
    )
    files = {
        "low/x.m3u8": playlist(["0.ts"], ended=True).encode(),
        "low/0.ts": b"low",
        "master.m3u8": master.encode(),
    }
    with hls_server(files, [""]) as server:
        assert read(server, Position(), "master.m3u8") == "low"


def test_a_head_comes_once_and_another_one_needs_a_new_connection() -> None:
    files = {**PARTS, "a.mp4": b"[a]", "b.mp4": b"[b]"}
    first = playlist(NAMES[:2], head="a.mp4")
    second = playlist(NAMES[:2], head="a.mp4") + '#EXT-X-MAP:URI="b.mp4"\n2.ts\n#EXT-X-ENDLIST\n'
    position, sent = Position(), list[bytes]()
    with hls_server(files, [first, second]) as server:
        with pytest.raises(ValueError, match="another format"):
            read(server, position, sent=sent)
        assert b"".join(sent) == b"[a]<0><1>"
        assert read(server, position) == "[b]<2>"


def test_a_playlist_may_not_lead_to_addresses_that_are_not_allowed() -> None:
    with (
        hls_server(PARTS, [playlist(["http://10.0.0.1/secret.ts"], ended=True)]) as server,
        pytest.raises(ValueError, match="not an address of the public internet"),
    ):
        read(server, Position())


def test_a_playlist_without_new_segments_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.serving.sources.hls.MIN_STALL_SECONDS", 0.1)
    monkeypatch.setattr("exvad.serving.sources.hls.STALL_TARGETS", 1)
    with (
        hls_server(PARTS, [playlist(NAMES[:2])]) as server,
        pytest.raises(ValueError, match="has had no new segment for"),
    ):
        read(server, Position())


def watch(url: str) -> tuple[list[int], list[str]]:
    """Watch a stream as the server does; return the frames' indices, and the notices."""
    spec = SourceSpec("door", url, None, 5, 48, ["127.0.0.0/8"], 0.1, 4 * 2**30, 0.0)
    items = list(StreamProcess(spec).follow(threading.Event()))
    frames = [frame for item in items if not isinstance(item, Notice) for frame in item]
    notices = [item.kind for item in items if isinstance(item, Notice)]
    return [read_index(frame.frame) for frame in frames], notices


@pytest.mark.parametrize("suffix", [".ts", ".m4s"])
def test_a_stream_ends_with_its_playlist(tmp_path: Path, suffix: str) -> None:
    video = write_video(tmp_path / "clip.ts", 125, size=(64, 48), gop=25)
    files = split(video, suffix)
    names = [f"part{number}{suffix}" for number in range(5)]
    head = "init.mp4" if suffix == ".m4s" else ""
    playlists = [playlist(names[:4], head=head), playlist(names, ended=True, head=head)]
    with hls_server(files, playlists) as server:
        indices, notices = watch(server.url())
    assert indices == list(range(25, 125, 5))
    assert (notices[0], notices[-1]) == ("connected", "ended")


@pytest.mark.parametrize("start", ["\n", "\ufeff", "\ufeff\n"])
def test_a_web_page_is_named_as_such(start: str) -> None:
    with hls_server({}, [f"{start}<!DOCTYPE html>\n<html></html>"]) as server:
        spec = SourceSpec("door", server.url(), None, 5, 48, ["127.0.0.0/8"], 0.1, 4 * 2**30, 0.0)
        notice = next(StreamProcess(spec).follow(threading.Event()))
    text = "door: the URL leads to a web page, not to a stream; trying again in 2 s"
    assert notice == Notice("lost", text)
