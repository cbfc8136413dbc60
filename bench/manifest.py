"""What the manifest of a large data set costs the driver: memory, and time to read and write it.

python -m bench.manifest [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

from bench._harness import emit
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.records import Video

VIDEOS = 100_000


def make_manifest(count: int) -> Manifest:
    """Return a manifest of videos of a hundred cameras, with names as long as real ones."""
    names = [f"camera{number % 100:02d}/2026-11-28/{number:09d}" for number in range(count)]
    videos = [Video(name, f"s3://bucket/videos/{name}.mp4", "train", ("Normal",)) for name in names]
    return Manifest(("Normal", "Fighting"), tuple(videos))


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer videos")
    count = VIDEOS // 10 if parser.parse_args().quick else VIDEOS
    tracemalloc.start()
    manifest = make_manifest(count)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.parquet"
        start = time.perf_counter()
        write_manifest(manifest, path)
        written = time.perf_counter()
        read_manifest(path)
        read = time.perf_counter()
        size = path.stat().st_size
    metrics = {
        "videos": float(count),
        "memory_bytes_per_video": held / count,
        "file_bytes_per_video": size / count,
        "write_us_per_video": (written - start) / count * 1e6,
        "read_us_per_video": (read - written) / count * 1e6,
    }
    emit("manifest", metrics, {})


if __name__ == "__main__":
    main()
