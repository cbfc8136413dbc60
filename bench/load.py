"""Ten minutes at one and a half times what the server can do: what it accepts, it answers.

Clips come at a fixed rate, whether or not the last ones are answered. What the queue has no room
for is refused (429) and not sent again. Memory is that of the server's whole process tree, shared
pages counted once; it is flat if the last quarter's median is that of the second quarter.

    python bench/load.py [--quick]
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
from _harness import emit  # type: ignore[import-not-found]
from _server import Served, save_untrained, world_clip  # type: ignore[import-not-found]

OVERLOAD, CLIENTS, MIB = 1.5, 16, 2**20
GOALS = {
    "accepted_unanswered": ("<=", 0),
    "answered_with_5xx": ("<=", 0),
    "lost_connections": ("<=", 0),
    "processes_lost": ("<=", 0),
    "memory_growth": ("<=", 0.05),
}


def capacity(served: Served, clip: Path) -> float:
    """Return the clips per second of clients that wait for each answer."""

    def ask(_: int) -> None:
        with served.client() as client:
            for _ in range(3):
                client.analyze(clip)

    ask(0)
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, range(CLIENTS)))
    return 3 * CLIENTS / (time.perf_counter() - begin)


class Load:
    """Sends a clip at a fixed rate for some time, and counts what the server says.

    Args:
        served: the server.
        clip: what is sent.
        rate: clips per second.
        seconds: how long.
    """

    def __init__(self, served: Served, clip: Path, rate: float, seconds: float) -> None:
        self.served, self.clip = served, clip
        self.rate, self.seconds = rate, seconds
        self.said: Counter[int] = Counter()
        self.accepted: list[str] = []
        self.memory: list[float] = []

    def run(self) -> None:
        """Send, and watch the memory meanwhile."""
        over = threading.Event()
        watching = threading.Thread(target=self._weigh, args=(over,))
        watching.start()
        begin = time.perf_counter()
        with ThreadPoolExecutor(64) as pool:
            for number in range(int(self.rate * self.seconds)):
                time.sleep(max(0.0, begin + number / self.rate - time.perf_counter()))
                pool.submit(self._send)
        over.set()
        watching.join()

    def _send(self) -> None:
        from exvad.client import ServerError

        try:
            with self.served.client(retries=0) as client:
                self.accepted.append(client.submit(self.clip).id)
            self.said[202] += 1
        except ServerError as error:
            self.said[error.status] += 1
        except ConnectionError:
            self.said[0] += 1

    def _weigh(self, over: threading.Event) -> None:
        while not over.wait(2):
            self.memory.append(weight(self.served) / MIB)

    def unanswered(self) -> int:
        """Return how many accepted clips have no answer, after the queue has had time to empty."""
        with self.served.client() as client:
            return sum(client.wait(number, 600).state != "done" for number in self.accepted)


def family(served: Served) -> list[psutil.Process]:
    """The server's processes."""
    return psutil.Process(served.process.pid).children(recursive=True)


def actors(served: Served) -> set[int]:
    """Return the server's replicas, its proxy and its controller; Ray's spare workers may go."""
    kinds = ("ray::ServeReplica", "ray::ProxyActor", "ray::ServeController")
    return {
        process.pid
        for process in family(served)
        if any("".join(process.cmdline()).startswith(kind) for kind in kinds)
    }


def weight(served: Served) -> float:
    """Return the bytes of memory of the server's processes, shared pages counted once."""
    total = 0.0
    for process in family(served):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    seconds = 60 if parser.parse_args().quick else 600
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        clip = world_clip(root / "clip.mp4", 45)
        with Served(root, save_untrained(root / "checkpoint")) as served:
            rate = OVERLOAD * capacity(served, clip)
            print(f"{rate:.2f} clips per second for {seconds} s", file=sys.stderr)
            before = actors(served)
            load = Load(served, clip, rate, seconds)
            load.run()
            missing = load.unanswered()
            lost = before - actors(served)
    quarter = len(load.memory) // 4
    early = statistics.median(load.memory[quarter : 2 * quarter])
    late = statistics.median(load.memory[3 * quarter :])
    figures = {
        "sent": sum(load.said.values()),
        "accepted": load.said[202],
        "refused_429": load.said[429],
        "answered_with_5xx": sum(count for said, count in load.said.items() if said >= 500),
        "lost_connections": load.said[0],
        "accepted_unanswered": missing,
        "processes_lost": len(lost),
        "memory_mib": late,
        "memory_growth": late / early - 1,
    }
    emit("load", figures, GOALS)


if __name__ == "__main__":
    main()
