"""The parts that benchmarks share: jobs of the demo, and the line of JSON with the results."""

from __future__ import annotations

import json
import operator
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def make_features(overrides: Sequence[str]) -> None:
    """Run the jobs of the demo preset up to features and labels."""
    for verb in ("preprocess", "labels"):
        command = [sys.executable, "-m", "exvad.cli", verb, *overrides]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)


def emit(name: str, metrics: Mapping[str, float], goals: Mapping[str, tuple[str, float]]) -> None:
    """Print the metrics, the goals, and whether every goal is met, as one line of JSON.

    Args:
        name: name of the benchmark.
        metrics: the measured values.
        goals: metric → comparison and bound.
    """
    met = all(COMPARE[sign](metrics[metric], bound) for metric, (sign, bound) in goals.items())
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
    record = {"name": name, "machine": machine, "metrics": metrics, "goals": goals, "met": met}
    print(json.dumps(record, allow_nan=False))
