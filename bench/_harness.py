"""What every benchmark shares: one JSON line, with the machine it was measured on."""

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
    """Run the demo preset's jobs up to features and labels."""
    for job in ("preprocess", "labels"):
        command = [sys.executable, f"jobs/{job}.py", "--preset", "demo", *overrides]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)


def emit(name: str, figures: Mapping[str, float], goals: Mapping[str, tuple[str, float]]) -> None:
    """Print the figures, the goals, and whether every goal is met, as one JSON line.

    Args:
        name: the benchmark's name.
        figures: what was measured.
        goals: figure → comparison and bound.
    """
    met = all(COMPARE[sign](figures[figure], bound) for figure, (sign, bound) in goals.items())
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
    record = {"name": name, "machine": machine, "figures": figures, "goals": goals, "met": met}
    print(json.dumps(record, allow_nan=False))
