"""Videos in a bucket are read by pyarrow over the real S3 protocol."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from tests.helpers.videos import decode_video, write_video

FRAMES, STRIDE = 60, 3


class Bucket:
    """A local object store that serves the files of a folder over the S3 protocol.

    Args:
        folder: the folder.

    Attributes:
        sent: bytes of content that were sent.
    """

    def __init__(self, folder: Path) -> None:
        self.sent = 0
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                file = folder / unquote(urlsplit(self.path).path).removeprefix("/bucket/")
                content = file.read_bytes() if file.is_file() else b""
                self.send_response(200 if content else 404)
                interval = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                if interval:
                    content = content[int(interval[1]) : int(interval[2]) + 1]
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)
                    bucket.sent += len(content)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        """Return the URI of a file, with secrets."""
        address = f"127.0.0.1:{self.http.server_address[1]}"
        return (
            f"s3://user:secret-key@bucket/{name}?region=us-east-1&scheme=http"
            f"&endpoint_override={address}"
        )


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    bucket = Bucket(tmp_path)
    yield bucket
    bucket.http.shutdown()
    bucket.http.server_close()


def indices(uri: str) -> list[int]:
    """Decode a video and return the indices that it shows."""
    return decode_video(uri, STRIDE, 8)[0]


@pytest.mark.parametrize("name", ["clip.mp4", "v=x__#1_label_G-0 日本.mp4"])
def test_open_video_reads_a_bucket_like_a_file(tmp_path: Path, bucket: Bucket, name: str) -> None:
    write_video(tmp_path / name, FRAMES, size=(64, 48))
    assert indices(bucket.url(name)) == list(range(0, FRAMES, STRIDE))
    assert bucket.sent > 0


@pytest.mark.parametrize("name", ["clip.mp4", "v=x__#1_label_G-0 日本.mp4"])
def test_open_video_reads_a_file_uri_like_a_file(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, FRAMES, size=(64, 48))
    assert indices(f"file://{tmp_path}/{name}") == list(range(0, FRAMES, STRIDE))


def test_open_video_names_a_missing_object_without_secrets(bucket: Bucket) -> None:
    with pytest.raises(VideoError, match="there is no such file") as caught:
        plan_chunks("clip", bucket.url("missing.mp4"))
    assert caught.value.path == "s3://bucket/missing.mp4"
    assert "secret" not in str(caught.value)
