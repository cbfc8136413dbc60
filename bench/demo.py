"""The main job from videos to report, as `make demo` runs it: time, memory and metrics.

With --quick the world is smaller and its metrics mean little.

    python -m bench.demo [--quick]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

from bench._harness import emit

SAMPLE_SECONDS = 1.0
QUICK = ("data.world.train_videos=36", "data.world.test_videos=14", "train.epochs=4")


class MemoryWatch:
    """Samples the memory of all processes that start after it; shared pages count once.

    Attributes:
        peak: the largest sum so far, in bytes.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._earlier = set(psutil.pids())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            total = 0
            for process in psutil.process_iter():
                if process.pid in self._earlier:
                    continue
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def main() -> None:
    """Run the demo in a folder of its own and print one line of JSON."""
    overrides = QUICK if "--quick" in sys.argv[1:] else ()
    with tempfile.TemporaryDirectory() as folder, MemoryWatch() as memory:
        subprocess.run(
            [sys.executable, "-m", "exvad.cli", "demo", *overrides],
            cwd=folder,
            stdout=sys.stderr,
            check=True,
        )
        summary = json.loads((Path(folder) / "runs/demo/summary.json").read_text())
    texts = {
        f"frame_auc_text_{text}": metrics["frame_auc"]
        for text, metrics in summary["variants"].items()
    }
    emit(
        "demo",
        {
            "seconds": summary["seconds_total"],
            "peak_gib": memory.peak / 2**30,
            "frame_auc": summary["frame_auc"],
            "map_strict_average": summary["map"]["strict"]["average"],
            "class_accuracy": summary["class_accuracy"],
            "explanation_class_accuracy": summary["explanation_class_accuracy"],
            **texts,
        },
        {
            "seconds": ("<=", 360),
            "peak_gib": ("<=", 6),
            "frame_auc": (">=", 0.95),
            "map_strict_average": (">=", 50),
            "class_accuracy": (">=", 0.85),
            "explanation_class_accuracy": (">=", 0.8),
        },
    )


if __name__ == "__main__":
    main()
