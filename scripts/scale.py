"""The cost of preprocessing a data set in core-hours, GPU-hours and dollars: docs/scale.md's table.

python scripts/scale.py                     prints the table for scripts/scale.yaml
python scripts/scale.py gpu.tflops=312 …    uses other assumptions
python scripts/scale.py --write             writes the table into docs/scale.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ASSUMPTIONS = HERE / "scale.yaml"
DOCUMENT = HERE.parent / "docs" / "scale.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
HEADER = """\
| data set | step | work | each worker, per second | hours of one worker | dollars |
| --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Step:
    """One step of preprocessing over a data set.

    Args:
        name: name of the step in the table.
        items: number of items.
        unit: what the items are.
        rate: items per second of one worker.
        worker: `core` or `GPU`.
    """

    name: str
    items: float
    unit: str
    rate: float
    worker: str

    @property
    def hours(self) -> float:
        """Hours of one worker."""
        return self.items / self.rate / 3600


def read_assumptions(overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Read scripts/scale.yaml and apply `section.key=value` overrides.

    Raises:
        ValueError: an override names a key that does not exist, or its value is not a number.
    """
    assumptions: dict[str, Any] = yaml.safe_load(ASSUMPTIONS.read_text())
    for override in overrides:
        path, _, text = override.partition("=")
        *sections, key = path.split(".")
        section: Any = assumptions
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section or isinstance(section[key], dict):
            raise ValueError(f"{override!r}: no such assumption in {ASSUMPTIONS.name}")
        value = yaml.safe_load(text)
        if not isinstance(value, int | float):
            raise ValueError(f"{override!r}: {text!r} is not a number")
        section[key] = value
    return assumptions


def gpu_seconds(
    assumptions: Mapping[str, Any], parameters: float, read: float, written: float
) -> float:
    """Return the seconds that a GPU takes for one item of a transformer.

    Reading is limited by arithmetic: two operations per parameter and token. Writing is limited by
    memory: every step reads all parameters once for the whole batch.

    Args:
        assumptions: the assumptions.
        parameters: parameters of the model, in millions.
        read: tokens that the model reads.
        written: tokens that it writes, one per step.
    """
    gpu = assumptions["gpu"]
    arithmetic = 2 * parameters * 1e6 * (read + written) / (gpu["tflops"] * 1e12)
    weight_bytes = parameters * 1e6 * assumptions["bytes_per_parameter"]
    memory = written * weight_bytes / (gpu["gb_per_second"] * 1e9) / assumptions["batch"]
    return float((arithmetic + memory) / gpu["utilisation"])


def plan_steps(assumptions: Mapping[str, Any], dataset: Mapping[str, float]) -> list[Step]:
    """Return the steps of preprocessing a data set.

    Args:
        assumptions: the assumptions.
        dataset: `hours`, `videos` and `fps` of the data set.
    """
    cpu, models, videos = assumptions["cpu"], assumptions["models"], dataset["videos"]
    frames = dataset["hours"] * 3600 * dataset["fps"]
    captions = videos * assumptions["captions_per_video"]
    clip, vision, language = models["clip"], models["blip2_vision"], models["blip2_language"]
    encode = gpu_seconds(assumptions, clip["parameters"], clip["tokens"], 0)
    caption = gpu_seconds(assumptions, vision["parameters"], vision["tokens"], 0) + gpu_seconds(
        assumptions, language["parameters"], language["tokens"], assumptions["caption_tokens"]
    )
    explain = gpu_seconds(
        assumptions,
        models["llama"]["parameters"],
        assumptions["prompt_tokens"],
        assumptions["explanation_tokens"],
    )
    explain += cpu["language_ms_per_video"] / 1000
    busy = assumptions["gpu"]["pipeline"]
    snippets = frames / assumptions["frames_per_snippet"]
    return [
        Step("decode", frames, "frames", cpu["decode_frames_per_second"], "core"),
        Step("CLIP", snippets, "snippets", busy / encode, "GPU"),
        Step("captions", captions, "captions", busy / caption, "GPU"),
        Step("explanations", videos, "videos", 1 / explain, "GPU"),
    ]


def make_table(assumptions: Mapping[str, Any]) -> str:
    """Return the document's table: per data set, a row per step and one for all of them."""
    prices = assumptions["dollars_per_hour"]
    dollars_per_hour = {
        "core": prices["cpu_node"] / assumptions["cpu_node_cores"],
        "GPU": prices["gpu_node"],
    }
    gpu_name = assumptions["gpu"]["name"]
    lines = [HEADER]
    for name, dataset in assumptions["datasets"].items():
        hours = {"core": 0.0, "GPU": 0.0}
        for step in plan_steps(assumptions, dataset):
            hours[step.worker] += step.hours
            worker = "core" if step.worker == "core" else gpu_name
            dollars = step.hours * dollars_per_hour[step.worker]
            lines.append(
                f"| {name} | {step.name} | {step.items:,.0f} {step.unit} | "
                f"{step.rate:,.4g} | {step.hours:,.2f} ({worker}) | {dollars:,.2f} |"
            )
        head = hours["GPU"] / assumptions["gpu_nodes"] * prices["head"]
        workers = sum(hours[kind] * dollars_per_hour[kind] for kind in ("GPU", "core"))
        lines.append(
            f"| **{name}** | all | {dataset['hours']:g} h of video | | "
            f"**{hours['GPU']:,.1f} ({gpu_name})**, {hours['core']:,.1f} (core) | "
            f"**{workers + head:,.2f}**, {workers * prices['spot_share'] + head:,.2f} spot |"
        )
    return "\n".join(lines)


def replace_table(document: str, table: str) -> str:
    """Return a document with the table between its marks.

    Raises:
        ValueError: the document lacks the marks.
    """
    before, _, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{DOCUMENT.name} lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Print the table, and write it into the document with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--write", action="store_true", help="write the table into docs/scale.md")
    options = parser.parse_args(arguments)
    try:
        table = make_table(read_assumptions(options.overrides))
    except ValueError as error:
        parser.error(str(error))
    if options.write:
        DOCUMENT.write_text(replace_table(DOCUMENT.read_text(), table))
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
