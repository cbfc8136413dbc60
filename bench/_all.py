"""Run every benchmark and rewrite docs/benchmarks.md: `python bench/_all.py [--quick]`."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path

from _harness import COMPARE  # type: ignore[import-not-found]

BENCH = Path(__file__).resolve().parent
TABLE = BENCH.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Run the scripts one after the other and write the table."""
    rows, machine = [], {}
    for script in sorted(BENCH.glob("[a-z]*.py")):
        print(f"{script.name} …", file=sys.stderr)
        finished = subprocess.run(
            [sys.executable, str(script), *sys.argv[1:]],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        result = json.loads(finished.stdout)
        machine = result["machine"]
        for figure, value in result["figures"].items():
            goal = result["goals"].get(figure)
            met = "" if goal is None else _met(value, *goal)
            wanted = "" if goal is None else f"{goal[0]} {goal[1]:g}"
            rows.append(f"| {result['name']} | {figure} | {value:.4g} | {wanted} | {met} |")
    today = datetime.date.today().isoformat()
    head = [
        "# Benchmarks",
        "",
        f"`make bench`, {today}, on {machine.get('cores')} cores, Python {machine.get('python')}.",
        "",
        "| benchmark | figure | measured | goal | |",
        "| --- | --- | --- | --- | --- |",
    ]
    TABLE.write_text("\n".join([*head, *rows]) + "\n")


def _met(value: float, sign: str, goal: float) -> str:
    return "met" if COMPARE[sign](value, goal) else "missed"


if __name__ == "__main__":
    main()
