"""An HLS server whose live playlist moves on with every request."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

from tests.helpers.http_login import Guard

SEGMENT_SECONDS = 1


class HlsServer(ThreadingHTTPServer):
    """Serves playlists and files on a free port.

    Args:
        files: name → content.
        playlists: answers to the requests of `live.m3u8`, in order; the last one stays.
        guard: asks for a login; None for none.

    Attributes:
        requested: names, in the order of the requests.
    """

    daemon_threads = True

    def __init__(
        self, files: dict[str, bytes], playlists: Sequence[str], guard: Guard | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), HlsHandler)
        self.files, self.playlists, self.guard = files, list(playlists), guard
        self.requested: list[str] = []

    def url(self, name: str = "live.m3u8") -> str:
        """URL of a file."""
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class HlsHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: HlsServer

    def do_GET(self) -> None:
        """Send a file or the next playlist."""
        if self.server.guard is not None and not self.server.guard.lets_pass(self):
            return
        name = self.path.lstrip("/")
        self.server.requested.append(name)
        playlists = self.server.playlists
        if name == "live.m3u8":
            content = (playlists.pop(0) if len(playlists) > 1 else playlists[0]).encode()
        else:
            content = self.server.files.get(name, b"")
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def split(video: Path, suffix: str = ".ts") -> dict[str, bytes]:
    """Return a video as segments of a second: name → content."""
    pattern = video.with_name(f"part%d{suffix}")
    options = {"hls_time": str(SEGMENT_SECONDS), "hls_segment_filename": str(pattern)}
    options |= {"hls_list_size": "0"}
    if suffix == ".m4s":
        options |= {"hls_segment_type": "fmp4", "hls_fmp4_init_filename": "init.mp4"}
    playlist = video.with_name("all.m3u8")
    with av.open(str(video)) as source, av.open(str(playlist), "w", "hls", options) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                target.mux_one(packet)
    found = [*video.parent.glob(f"part*{suffix}"), *video.parent.glob("init.mp4"), playlist]
    return {path.name: path.read_bytes() for path in found}


def playlist(names: Sequence[str], first: int = 0, ended: bool = False, head: str = "") -> str:
    """Return a playlist of segments."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:0.5", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    lines += [f'#EXT-X-MAP:URI="{head}"'] if head else []
    lines += [line for name in names for line in ("#EXTINF:1.0,", name)]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else []), ""])


@contextmanager
def hls_server(
    files: dict[str, bytes], playlists: Sequence[str], guard: Guard | None = None
) -> Iterator[HlsServer]:
    """Run a server; see `HlsServer`."""
    server = HlsServer(files, playlists, guard)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
