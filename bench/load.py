"""Ten minutes at one and a half times the server's capacity: every accepted clip is analyzed.

Clips are sent at a fixed rate, whether or not earlier ones have been analyzed. A clip that the
queue has no space for is refused (429) and not sent again. Memory is that of all processes of the
server, with shared pages counted once. It counts as flat if the median of the last quarter is that
of the second quarter.

    python -m bench.load [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from bench._harness import emit
from bench._server import BenchServer, save_untrained, write_clip
from exvad.client import ServerError

OVERLOAD = 1.5
NUM_CLIENTS, CLIPS_PER_CLIENT = 16, 3
CLIP_SECONDS = 45
MIB = 2**20
CONNECTION_LOST = 0  # in place of a status code
GOALS = {
    "accepted_unanswered": ("<=", 0),
    "answered_with_5xx": ("<=", 0),
    "lost_connections": ("<=", 0),
    "processes_lost": ("<=", 0),
    "memory_growth": ("<=", 0.05),
}


class Load:
    """Sends a clip at a fixed rate, and counts the status codes of the responses.

    Args:
        server: the server.
        clip: the clip.
        rate: clips per second.
        seconds: duration.

    Attributes:
        statuses: number of responses by status code.
        accepted: ids of the accepted analyses.
        memory: memory of the server in MiB, every two seconds.
    """

    def __init__(self, server: BenchServer, clip: Path, rate: float, seconds: float) -> None:
        self.server, self.clip = server, clip
        self.rate, self.seconds = rate, seconds
        self.statuses: Counter[int] = Counter()
        self.accepted: list[str] = []
        self.memory: list[float] = []

    def run(self) -> None:
        """Send the clips, and measure the memory meanwhile."""
        ended = threading.Event()
        measuring = threading.Thread(target=self._measure_memory, args=(ended,))
        measuring.start()
        began = time.perf_counter()
        with ThreadPoolExecutor(64) as pool:
            for index in range(int(self.rate * self.seconds)):
                time.sleep(max(0.0, began + index / self.rate - time.perf_counter()))
                pool.submit(self._send)
        ended.set()
        measuring.join()

    def count_unanswered(self) -> int:
        """Wait until the queue is empty; return the number of accepted clips without a result."""
        with self.server.client() as client:
            return sum(
                client.wait(analysis_id, 600).state != "done" for analysis_id in self.accepted
            )

    def _send(self) -> None:
        try:
            with self.server.client(retries=0) as client:
                self.accepted.append(client.submit(self.clip).id)
            self.statuses[202] += 1
        except ServerError as error:
            self.statuses[error.status] += 1
        except ConnectionError:
            self.statuses[CONNECTION_LOST] += 1

    def _measure_memory(self, ended: threading.Event) -> None:
        while not ended.wait(2):
            self.memory.append(memory_bytes(self.server) / MIB)


def measure_capacity(server: BenchServer, clip: Path) -> float:
    """Return the clips per second of clients that wait for each result."""

    def send_clips(_: int) -> None:
        with server.client() as client:
            for _ in range(CLIPS_PER_CLIENT):
                client.analyze(clip)

    send_clips(0)
    began = time.perf_counter()
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        list(pool.map(send_clips, range(NUM_CLIENTS)))
    return NUM_CLIENTS * CLIPS_PER_CLIENT / (time.perf_counter() - began)


def processes(server: BenchServer) -> list[psutil.Process]:
    """Return the processes of the server."""
    return psutil.Process(server.process.pid).children(recursive=True)


def essential_processes(server: BenchServer) -> set[int]:
    """Return the ids of replicas, proxy and controller; other workers of Ray may end."""
    names = ("ray::ServeReplica", "ray::ProxyActor", "ray::ServeController")
    return {
        process.pid for process in processes(server) if "".join(process.cmdline()).startswith(names)
    }


def memory_bytes(server: BenchServer) -> float:
    """Return the memory of all processes of the server, with shared pages counted once."""
    total = 0.0
    for process in processes(server):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Run the benchmark and print its JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    seconds = 60 if parser.parse_args().quick else 600
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        clip = write_clip(root / "clip.mp4", CLIP_SECONDS)
        with BenchServer(root, save_untrained(root / "checkpoint")) as server:
            rate = OVERLOAD * measure_capacity(server, clip)
            print(f"{rate:.2f} clips per second for {seconds} s", file=sys.stderr)
            before = essential_processes(server)
            load = Load(server, clip, rate, seconds)
            load.run()
            unanswered = load.count_unanswered()
            lost = before - essential_processes(server)
    quarter = len(load.memory) // 4
    early = statistics.median(load.memory[quarter : 2 * quarter])
    late = statistics.median(load.memory[3 * quarter :])
    statuses = load.statuses
    metrics = {
        "sent": sum(statuses.values()),
        "accepted": statuses[202],
        "refused_429": statuses[429],
        "answered_with_5xx": sum(count for status, count in statuses.items() if status >= 500),
        "lost_connections": statuses[CONNECTION_LOST],
        "accepted_unanswered": unanswered,
        "processes_lost": len(lost),
        "memory_mib": late,
        "memory_growth": late / early - 1,
    }
    emit("load", metrics, GOALS)


if __name__ == "__main__":
    main()
