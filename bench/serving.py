"""What serving costs beside the bare detector: one request, sixteen clients, the first scores.

The server runs as users start it, all deployments on this machine, with the demo's frozen models
and an untrained network of its size, which takes as long as a trained one. The bare detector runs
in this process on the same clip, in turn with the server, which is idle meanwhile. "Bare" at
sixteen clients is the faster of a plain loop and two threads that share one detector.

    python bench/serving.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from _harness import emit  # type: ignore[import-not-found]
from _server import Served, save_untrained, world_clip  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from exvad.detector.detector import Detector

CLIENTS, TEN_MINUTES = 16, 600
GOALS = {
    "p50_ratio_to_bare": ("<=", 1.15),
    "throughput_ratio_to_bare": (">=", 0.9),
    "first_scores_seconds": ("<", 1.0),
}


def latencies(served: Served, detector: Detector, clip: Path, pairs: int) -> tuple[float, float]:
    """Return the medians of a request and of the bare detector, measured in turn, in seconds."""
    asked, bare = [], []
    with served.client() as client:
        for _ in range(pairs):
            begin = time.perf_counter()
            client.analyze(clip)
            asked.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            detector.analyze(clip)
            bare.append(time.perf_counter() - begin)
            print(f"request {asked[-1]:.2f} s, bare {bare[-1]:.2f} s", file=sys.stderr)
    return statistics.median(asked), statistics.median(bare)


def throughputs(served: Served, detector: Detector, clip: Path, each: int) -> tuple[float, float]:
    """Return clips per second of sixteen clients, and of the bare detector."""

    def ask(_: int) -> None:
        with served.client() as client:
            for _ in range(each):
                client.analyze(clip)

    count = CLIENTS * each
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, range(CLIENTS)))
    served_rate = count / (time.perf_counter() - begin)
    bare_rates = []
    for threads in (1, 2):
        begin = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: detector.analyze(clip), range(count)))
        bare_rates.append(count / (time.perf_counter() - begin))
    print(f"served {served_rate:.2f}/s, bare {bare_rates}", file=sys.stderr)
    return served_rate, max(bare_rates)


def first_scores(served: Served, clip: Path) -> float:
    """Return the seconds from the beginning of an upload to its first scores by SSE."""
    with served.client() as client:
        begin = time.perf_counter()
        job = client.submit(clip)
        for told in client.follow(job.id):
            if told.kind == "first_scores":
                return time.perf_counter() - begin
    raise AssertionError("no scores came")


def main() -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    from exvad.detector.detector import Detector

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        checkpoint = save_untrained(root / "checkpoint")
        clip, long = world_clip(root / "clip.mp4", 45), world_clip(root / "long.mp4", TEN_MINUTES)
        detector = Detector(checkpoint)
        detector.analyze(clip)
        with Served(root, checkpoint) as served:
            with served.client() as client:
                client.analyze(clip)
            asked, bare = latencies(served, detector, clip, 3 if quick else 11)
            rates = [throughputs(served, detector, clip, 1 if quick else 3)]
            rates += [] if quick else [throughputs(served, detector, clip, 3) for _ in range(2)]
            waits = [first_scores(served, long) for _ in range(1 if quick else 3)]
    figures = {
        "p50_seconds": asked,
        "bare_p50_seconds": bare,
        "p50_ratio_to_bare": asked / bare,
        "clips_per_second": statistics.median(rate for rate, _ in rates),
        "bare_clips_per_second": statistics.median(rate for _, rate in rates),
        "throughput_ratio_to_bare": statistics.median(rate / plain for rate, plain in rates),
        "first_scores_seconds": statistics.median(waits),
    }
    emit("serving", figures, GOALS)


if __name__ == "__main__":
    main()
