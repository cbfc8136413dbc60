"""How exvad talks to a bucket: requests per written part, and how fast videos are read.

The bucket is a real S3 endpoint over HTTP on this machine (moto). A proxy before it answers every
request after 30 ms and sends 50 MB/s per connection, which is about what one connection to S3
gives. Endpoint and proxy run in a process of their own.

Writing: parts of four chunks of features, ViT-B/16, appended to a stage. Planning: all packets of
an uncompressed video of 158 MiB. Decoding: the frames of all its snippets. Both are compared with
one plain GET of the same file through the same proxy.

    python -m bench.storage [--quick]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import obstore

from bench._harness import emit
from exvad.data.storage.clients import bucket_client
from exvad.data.storage.places import resolve_place
from exvad.store.store import Store
from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from tests.helpers.object_store import environment, object_store

DELAY = 0.03  # seconds
RATE = 50e6  # bytes per second
MIB = 1 << 20
SIZE = (640, 480)
STRIDE = 16
WIDTH = 512
PARTS = 20


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
        bucket.proxy.requests.clear()
        begin = time.monotonic()
        for part in range(PARTS):
            stage.append([_row(f"v{part}", chunk, rng) for chunk in range(4)])
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
    with tempfile.TemporaryDirectory() as folder, served_bucket() as url:
        path = write_uncompressed(Path(folder) / "video.avi", frames)
        resolve_place(url).write_bytes(path.read_bytes())
        size = path.stat().st_size / MIB
        _, chunks = plan_chunks("video", path, STRIDE)
        (chunk,) = chunks
        remote = type(chunk)(**{**chunk.to_row(), "path": url})
        bucket, _, name = url.removeprefix("s3://").partition("/")
        client = bucket_client("s3", bucket, ())
        ways: dict[str, Callable[[], object]] = {
            "plain_get": lambda: obstore.get(client, name).bytes(),
            "planning": lambda: plan_chunks("video", url, STRIDE),
            "decoding": lambda: decode_chunk(remote, 240),
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
def served_bucket() -> Iterator[str]:
    """Run endpoint and proxy in another process; yield the URI of an object that can be written."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        url, endpoint = ours.recv()
        os.environ.update(environment(endpoint))
        yield url
    finally:
        ours.send("stop")
        process.join()


def _serve(connection: Connection) -> None:
    with object_store() as bucket:
        bucket.proxy.delay, bucket.proxy.rate = DELAY, RATE
        connection.send((bucket.url("video.avi"), bucket.proxy.url))
        connection.recv()


if __name__ == "__main__":
    main()
