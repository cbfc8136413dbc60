"""Run all benchmarks and write docs/benchmarks.md: `python -m bench._all [--quick]`."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bench._harness import COMPARE, ROOT
from scripts.gpu_record import gpu_section
from scripts.scale import MEASURED, RECORD, read_measurement

BENCHMARKS = (
    "cameras",
    "compare",
    "demo",
    "explainer",
    "export",
    "grounded",
    "head",
    "language",
    "learning",
    "load",
    "manifest",
    "metrics",
    "preprocess",
    "robust",
    "sandbox",
    "serving",
    "storage",
    "survey",
    "sweep",
    "train",
    "training_data",
    "tune",
)
TABLE = ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Run the benchmarks one after another and write the table."""
    rows: list[str] = []
    machine: dict[str, Any] = {}
    for name in BENCHMARKS:
        print(f"{name} …", file=sys.stderr)
        finished = subprocess.run(
            [sys.executable, "-m", f"bench.{name}", *sys.argv[1:]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        result = json.loads(finished.stdout)
        machine = result["machine"]
        rows += table_rows(result)
    today = datetime.date.today().isoformat()
    head = [
        "# Benchmarks",
        "",
        f"`make bench`, {today}, on {machine.get('cores')} cores, Python {machine.get('python')}.",
        "",
        "| benchmark | metric | measured | goal | |",
        "| --- | --- | --- | --- | --- |",
    ]
    on_a_gpu = gpu_section(read_measurement(RECORD, MEASURED))
    TABLE.write_text("\n".join([*head, *rows, "", on_a_gpu]))


def table_rows(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row of the table for each metric of a benchmark."""
    for metric, value in result["metrics"].items():
        goal, verdict = "", ""
        if metric in result["goals"]:
            sign, bound = result["goals"][metric]
            goal = f"{sign} {bound:g}"
            verdict = "met" if COMPARE[sign](value, bound) else "missed"
        yield f"| {result['name']} | {metric} | {value:.4g} | {goal} | {verdict} |"


if __name__ == "__main__":
    main()
