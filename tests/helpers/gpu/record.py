"""What the `gpu` lane measured, and on which card: runs/gpu.json."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from exvad.data.atomic import write_json_atomic
from tests.helpers.gpu.lane import Lane

FORMAT = 1
PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "open_clip_torch",
    "accelerate",
    "ray",
    "triton",
)


class Record:
    """Figures of a session; those of an earlier session with the same card and day are kept.

    Args:
        path: the file.
        lane: the lane that measures.
    """

    def __init__(self, path: Path, lane: Lane) -> None:
        self.path, self.lane = path, lane
        self.figures: dict[str, float | None] = {}
        self.not_run: dict[str, str] = {}

    def add(self, name: str, value: float | None, digits: int = 4) -> None:
        """Add a figure, rounded to significant digits; None says that it can't be measured."""
        self.figures[name] = None if value is None else float(f"{value:.{digits}g}")

    def skip(self, name: str, reason: str) -> None:
        """Note why something was not measured."""
        self.not_run[name] = reason

    def write(self) -> None:
        """Write the file; nothing if nothing was measured."""
        if not self.figures:
            return
        machine = describe_machine(self.lane.device)
        earlier = read_earlier(self.path, machine)
        figures = {**earlier.get("figures", {}), **self.figures}
        not_run = {**earlier.get("not_run", {}), **self.not_run}
        content = {
            "format": FORMAT,
            **machine,
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "figures": dict(sorted(figures.items())),
            "not_run": {name: not_run[name] for name in sorted(not_run) if name not in figures},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomic(self.path, content)


def read_earlier(path: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """Return the content of the file if the same machine wrote it today, else nothing."""
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text())
    return content if all(content.get(name) == machine[name] for name in machine) else {}


def describe_machine(device: str) -> dict[str, Any]:
    """Return card, driver, versions, cores and day."""
    card: dict[str, Any] = {"card": "none", "memory_gib": 0, "capability": "", "driver": ""}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        card = {
            "card": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "capability": f"{properties.major}.{properties.minor}",
            "driver": query_driver(),
        }
    return {
        **card,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda or "",
        "versions": {name: package_version(name) for name in PACKAGES},
        "date": datetime.date.today().isoformat(),
    }


def package_version(name: str) -> str:
    """Return the version of a package, empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def query_driver() -> str:
    """Return the version of the driver; empty if `nvidia-smi` does not say it."""
    answer = query_card("driver_version")
    return answer[0] if answer else ""


def query_card(field: str) -> list[str]:
    """Return a field of every card, as `nvidia-smi` prints it; nothing if there is no such tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return finished.stdout.split("\n")[:-1] if finished.returncode == 0 else []
