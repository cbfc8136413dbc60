"""How exvad talks to a bucket: requests per written part, and how fast videos are read.

A proxy on this machine answers every request after 30 ms. For writing, it is before a real S3
endpoint over HTTP (moto). For reading, it also sends at most 50 MB/s per connection, like one
connection to S3, and is before a server of one file, in a process of their own: moto reads a whole
object for every range of it.

Writing: parts of four chunks of features, ViT-B/16, appended to a stage. Planning: all packets of
an uncompressed video of 158 MiB. Decoding: the frames of all its snippets. Both are compared with
one plain GET of the same file through the same proxy.

    python -m bench.storage [--quick]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import obstore

from bench._harness import emit
from exvad.data.storage.remote.clients import bucket_client
from exvad.store.store import Store
from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from tests.helpers.object_store import environment, object_store, proxy_before

DELAY = 0.03  # seconds
RATE = 50e6  # bytes per second
MIB = 1 << 20
SIZE = (640, 480)
STRIDE = 16
WIDTH = 512
PARTS = 20
SHORT_SIDE = 240  # pixels
URI = "s3://bucket/video.avi"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    metrics = {**measure_writing(), **measure_reading(100 if quick else 360, 1 if quick else 3)}
    goals = {
        "requests_per_written_part": ("<=", 2.0),
        "planning_to_plain_get": (">=", 0.8),
        "decoding_to_plain_get": (">=", 0.8),
    }
    emit("storage", metrics, goals)


def measure_writing() -> dict[str, float]:
    """Return the requests and the time per written part, with those to open the stage."""
    rng = np.random.default_rng(0)
    with object_store() as bucket:
        bucket.proxy.delay = DELAY
        stage = Store(bucket.url("store")).stage("vision", {"stride": STRIDE})
        parts = [[_row(f"v{part}", chunk, rng) for chunk in range(4)] for part in range(PARTS)]
        bucket.proxy.requests.clear()
        begin = time.monotonic()
        for rows in parts:
            stage.append(rows)
        seconds = time.monotonic() - begin
        requests = bucket.proxy.count()
    return {
        "requests_per_written_part": requests / PARTS,
        "ms_per_written_part": 1000 * seconds / PARTS,
    }


def _row(video: str, chunk: int, rng: np.random.Generator) -> dict[str, object]:
    return {
        "video_id": video,
        "chunk": chunk,
        "crop": 0,
        "first_snippet": 256 * chunk,
        "num_chunks": 4,
        "visual": rng.normal(size=(256, WIDTH)).astype(np.float16),
        "times": np.arange(256.0),
        "caption_snippets": [256 * chunk],
        "captions": ["a man"],
        "num_frames": 4 * 256 * STRIDE,
        "fps": 25.0,
    }


def measure_reading(frames: int, rounds: int) -> dict[str, float]:
    """Return the speed of reading a video, in all ways in turn; medians of some rounds."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_uncompressed(Path(folder) / "video.avi", frames)
        size = path.stat().st_size / MIB
        _, chunks = plan_chunks("video", path, STRIDE, snippets_per_chunk=frames)
        (chunk,) = chunks
        with served_file(path):
            remote = replace(chunk, path=URI)
            client = bucket_client("s3", "bucket", ())
            ways: dict[str, Callable[[], object]] = {
                "plain_get": lambda: obstore.get(client, "video.avi").bytes(),
                "planning": lambda: plan_chunks("video", URI, STRIDE),
                "decoding": lambda: decode_chunk(remote, SHORT_SIDE),
            }
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, read in ways.items():
                    begin = time.monotonic()
                    read()
                    seconds[way].append(time.monotonic() - begin)
    rates = {way: size / statistics.median(times) for way, times in seconds.items()}
    return {
        **{f"{way}_mib_per_second": rate for way, rate in rates.items()},
        "planning_to_plain_get": rates["planning"] / rates["plain_get"],
        "decoding_to_plain_get": rates["decoding"] / rates["plain_get"],
    }


def write_uncompressed(path: Path, frames: int) -> Path:
    """Write a video whose reading, not its decoding, takes the time; return its path."""
    image_HWC = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HWC, format="rgb24")))
        container.mux(stream.encode())
    return path


@contextmanager
def served_file(path: Path) -> Iterator[None]:
    """Serve a file as `URI` in another process, and point the environment there."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, path))
    process.start()
    os.environ.update(environment(ours.recv()))
    try:
        yield
    finally:
        ours.send("stop")
        process.join()


def _serve(connection: Connection, path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _file_handler(path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with proxy_before(server.server_address[1], DELAY, RATE) as proxy:
        connection.send(proxy.url)
        connection.recv()
    server.shutdown()


def _file_handler(path: Path) -> type[BaseHTTPRequestHandler]:
    size = path.stat().st_size

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(200, 0, size)

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, end = (int(asked[1]), int(asked[2]) + 1) if asked else (0, size)
            self._answer(206 if asked else 200, start, end)
            with path.open("rb") as file:
                file.seek(start)
                for position in range(start, end, MIB):
                    self.wfile.write(file.read(min(MIB, end - position)))

        def _answer(self, status: int, start: int, end: int) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", str(end - start))
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.send_header("Last-Modified", "Sat, 28 Nov 2026 00:00:00 GMT")
            self.send_header("ETag", '"one"')
            self.end_headers()

    return Handler


if __name__ == "__main__":
    main()
