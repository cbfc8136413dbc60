"""What the driver of a run finds out about a store, in a process of its own, for bench/survey.py.

python -m bench._survey_driver STORE VIDEOS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from exvad.store.store import Store
from exvad.store.survey import Survey


def main() -> None:
    """Look through the store, and print the seconds, the memory and what was found."""
    store, videos = Store(sys.argv[1]), [video_name(index) for index in range(int(sys.argv[2]))]
    before = peak_mib()
    begin = time.perf_counter()
    survey = Survey(store, videos)
    missing = survey.missing()
    failed = {row["id"] for row in survey.failures()}
    explained = survey.explained()
    to_explain = [v for v in videos if v not in missing and v not in explained and v not in failed]
    pieces = survey.pieces("vision", to_explain)
    done = survey.chunks(missing)
    found = {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time(),
        "peak_mib": peak_mib(),
        "mib_before": before,
        "to_encode": len(missing),
        "chunks_of_them": len(done),
        "to_explain": len(pieces),
    }
    print(json.dumps(found))


def video_name(index: int) -> str:
    """Return the id of a planted video."""
    return f"camera-{index % 100:02d}/2026-11-{1 + index % 28:02d}/recording-{index:06d}"


def peak_mib(process: int | str = "self") -> float:
    """Return the largest memory of a process so far; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(sizes[0]) / 1024 if sizes else 0.0


if __name__ == "__main__":
    main()
