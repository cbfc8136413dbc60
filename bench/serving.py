"""The cost of serving compared with the detector alone: latency, throughput, first scores.

The server runs as users start it, with all deployments on this machine, the frozen models of the
demo, and an untrained network of the same size, which takes as long as a trained one. The detector
alone runs in this process on the same clip. Requests and the detector alternate, so that one is
idle while the other runs. At sixteen clients, the detector's throughput is the better one of a
plain loop and of two threads that share one detector.

    python -m bench.serving [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench._harness import emit
from bench._server import BenchServer, save_untrained, write_clip
from exvad.detector.detector import Detector

NUM_CLIENTS = 16
CLIP_SECONDS, LONG_CLIP_SECONDS = 45, 600
GOALS = {
    "p50_ratio_to_bare": ("<=", 1.15),
    "throughput_ratio_to_bare": (">=", 0.9),
    "first_scores_seconds": ("<", 1.0),
}


def measure_latencies(
    server: BenchServer, detector: Detector, clip: Path, repetitions: int
) -> tuple[float, float]:
    """Return the median seconds of a request and of the detector alone."""
    served, bare = [], []
    with server.client() as client:
        for _ in range(repetitions):
            began = time.perf_counter()
            client.analyze(clip)
            served.append(time.perf_counter() - began)
            began = time.perf_counter()
            detector.analyze(clip)
            bare.append(time.perf_counter() - began)
            print(f"request {served[-1]:.2f} s, bare {bare[-1]:.2f} s", file=sys.stderr)
    return statistics.median(served), statistics.median(bare)


def measure_throughputs(
    server: BenchServer, detector: Detector, clip: Path, clips_per_client: int
) -> tuple[float, float]:
    """Return the clips per second of sixteen clients and of the detector alone."""

    def send_clips(_: int) -> None:
        with server.client() as client:
            for _ in range(clips_per_client):
                client.analyze(clip)

    num_clips = NUM_CLIENTS * clips_per_client
    began = time.perf_counter()
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        list(pool.map(send_clips, range(NUM_CLIENTS)))
    served_rate = num_clips / (time.perf_counter() - began)
    bare_rates = []
    for threads in (1, 2):
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: detector.analyze(clip), range(num_clips)))
        bare_rates.append(num_clips / (time.perf_counter() - began))
    print(f"served {served_rate:.2f}/s, bare {bare_rates}", file=sys.stderr)
    return served_rate, max(bare_rates)


def measure_first_scores(server: BenchServer, clip: Path) -> float:
    """Return the seconds from the start of an upload to its first scores."""
    with server.client() as client:
        began = time.perf_counter()
        job = client.submit(clip)
        for event in client.follow(job.id):
            if event.kind == "first_scores":
                return time.perf_counter() - began
    raise AssertionError("the analysis ended without first scores")


def main() -> None:
    """Run the benchmark and print its JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        checkpoint = save_untrained(root / "checkpoint")
        clip = write_clip(root / "clip.mp4", CLIP_SECONDS)
        long_clip = write_clip(root / "long.mp4", LONG_CLIP_SECONDS)
        detector = Detector(checkpoint)
        detector.analyze(clip)
        with BenchServer(root, checkpoint) as server:
            with server.client() as client:
                client.analyze(clip)
            served, bare = measure_latencies(server, detector, clip, 3 if quick else 11)
            rates = [measure_throughputs(server, detector, clip, rounds) for _ in range(rounds)]
            first_scores = [measure_first_scores(server, long_clip) for _ in range(rounds)]
    metrics = {
        "p50_seconds": served,
        "bare_p50_seconds": bare,
        "p50_ratio_to_bare": served / bare,
        "clips_per_second": statistics.median(rate for rate, _ in rates),
        "bare_clips_per_second": statistics.median(rate for _, rate in rates),
        "throughput_ratio_to_bare": statistics.median(
            rate / bare_rate for rate, bare_rate in rates
        ),
        "first_scores_seconds": statistics.median(first_scores),
    }
    emit("serving", metrics, GOALS)


if __name__ == "__main__":
    main()
