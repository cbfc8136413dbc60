"""The cost of preprocessing a data set in core-hours, GPU-hours and dollars: docs/scale.md's table.

python scripts/scale.py                     prints the table for scripts/scale.yaml
python scripts/scale.py gpu.tflops=312 …    uses other assumptions
python scripts/scale.py --write             writes the table into docs/scale.md

The speed of the models on a GPU is what `make test-gpu` measured, if runs/gpu.json exists. It is
computed from the assumptions if the file is missing, or if one of these assumptions is overridden.
`--write` keeps the measured figures of the page in scripts/scale_measured.json, from which anybody
can write the page again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ASSUMPTIONS = HERE / "scale.yaml"
MEASURED = HERE / "scale_measured.json"
RECORD = HERE.parent / "runs" / "gpu.json"
RECORD_FORMAT = 1
DOCUMENT = HERE.parent / "docs" / "scale.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
GPU_PRICE = "dollars_per_hour.gpu_node="
# The assumptions that measured speed replaces; whoever overrides one asks what follows from it.
REPLACED = (
    "gpu.name", "gpu.tflops", "gpu.gb_per_second", "gpu.utilisation", "models.", "batch=",
    "bytes_per_parameter", "prompt_tokens", "caption_tokens", "explanation_tokens",
)  # fmt: skip
HEADER = """\
| data set | step | work | each worker, per second | this rate is | hours of one worker | dollars |
| --- | --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Step:
    """One step of preprocessing over a data set.

    Args:
        name: name of the step in the table.
        items: number of items.
        unit: what the items are.
        rate: items per second of one worker.
        worker: `core` or `GPU`.
        is_measured: whether the rate was measured; otherwise it follows from assumptions.
    """

    name: str
    items: float
    unit: str
    rate: float
    worker: str
    is_measured: bool

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


@dataclass(frozen=True)
class Measurement:
    """What `make test-gpu` measured.

    Args:
        card: name of the card.
        date: day of the measurement.
        source: driver and versions, as text.
        figures: name → value; a figure that could not be measured is missing.
        content: the file as it is.
    """

    card: str
    date: str
    source: str
    figures: Mapping[str, float]
    content: Mapping[str, Any]


def read_measurement(*paths: Path) -> Measurement | None:
    """Read the first of these files that exists; None if none does.

    Args:
        paths: `runs/gpu.json`, or the copy of it beside this script.

    Raises:
        ValueError: the file was written by another version of the lane, or is damaged.
    """
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return None
    try:
        content = json.loads(path.read_text())
        if content["format"] != RECORD_FORMAT:
            raise ValueError("it has another format")
        figures = {name: value for name, value in content["figures"].items() if value is not None}
        torch = content["versions"]["torch"]
        source = f"driver {content['driver'] or 'unknown'}, torch {torch}"
        return Measurement(content["card"], content["date"], source, figures, content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: run `make test-gpu` again ({error})") from None


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


def assumed_seconds(assumptions: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds that the assumed GPU takes for an item of each step."""
    models = assumptions["models"]
    clip, vision, language = models["clip"], models["blip2_vision"], models["blip2_language"]
    return {
        "CLIP": gpu_seconds(assumptions, clip["parameters"], clip["tokens"], 0),
        "captions": gpu_seconds(assumptions, vision["parameters"], vision["tokens"], 0)
        + gpu_seconds(
            assumptions, language["parameters"], language["tokens"], assumptions["caption_tokens"]
        ),
        "explanations": gpu_seconds(
            assumptions,
            models["llama"]["parameters"],
            assumptions["prompt_tokens"],
            assumptions["explanation_tokens"],
        ),
    }


def plan_steps(
    assumptions: Mapping[str, Any],
    dataset: Mapping[str, float],
    figures: Mapping[str, float] | None = None,
) -> list[Step]:
    """Return the steps of preprocessing a data set.

    Args:
        assumptions: the assumptions.
        dataset: `hours`, `videos` and `fps` of the data set.
        figures: of `make test-gpu`; they replace the assumed speed of the models.
    """
    cpu, videos, figures = assumptions["cpu"], dataset["videos"], figures or {}
    frames = dataset["hours"] * 3600 * dataset["fps"]
    seconds = assumed_seconds(assumptions)
    measured = {
        "CLIP": figures.get("clip_frames_per_second"),
        "captions": figures.get(f"captions_per_second_{assumptions['batch']}"),
        "explanations": figures.get("explanations_per_second"),
    }
    seconds |= {name: 1 / rate for name, rate in measured.items() if rate}
    busy = assumptions["gpu"]["pipeline"]
    explain = seconds["explanations"] + cpu["language_ms_per_video"] / 1000
    items = {
        "CLIP": (frames / assumptions["frames_per_snippet"], "snippets", busy / seconds["CLIP"]),
        "captions": (
            videos * assumptions["captions_per_video"], "captions", busy / seconds["captions"]
        ),
        "explanations": (videos, "videos", 1 / explain),
    }  # fmt: skip
    decode = Step("decode", frames, "frames", cpu["decode_frames_per_second"], "core", True)
    return [
        decode,
        *(Step(name, *values, "GPU", bool(measured[name])) for name, values in items.items()),
    ]


def describe_basis(assumptions: Mapping[str, Any], measurement: Measurement | None) -> str:
    """Return the paragraph that says which figures of the table are measured and which assumed."""
    gpu = assumptions["gpu"]
    rest = (
        "Prices are AWS's on-demand prices; spot is taken as "
        f"{assumptions['dollars_per_hour']['spot_share']:.0%} of them. Starting nodes, loading "
        "models and unused spot capacity come on top."
    )
    formula = (
        f"arithmetic and memory traffic of each model, divided by the published {gpu['tflops']:g} "
        f"TFLOPS and {gpu['gb_per_second']:g} GB/s of an {gpu['name']} at "
        f"{gpu['utilisation']:.0%} utilisation."
    )
    if measurement is None:
        return (
            "**Decoding and the overhead of exvad are measured, on a CPU. GPU throughput is "
            f"assumed and has never been measured here:** {formula} Expect an error of a factor of "
            f"two either way. {rest}"
        )
    (dataset, *_) = assumptions["datasets"].values()
    steps = plan_steps(assumptions, dataset, measurement.figures)
    measured = [step.name for step in steps if step.worker == "GPU" and step.is_measured]
    assumed = [step.name for step in steps if step.worker == "GPU" and not step.is_measured]
    missing = f" Of {' and '.join(assumed)} the speed is assumed: {formula}" if assumed else ""
    return (
        f"**Decoding and the overhead of exvad are measured on a CPU; {', '.join(measured)} are "
        f"measured on one {measurement.card}** ({measurement.source}, `make test-gpu`, "
        f"{measurement.date}).{missing} Assumed is that the pipeline reaches {gpu['pipeline']:.0%} "
        f"of the speed of CLIP and of the captioner. {rest}"
    )


def make_table(
    assumptions: Mapping[str, Any],
    measurement: Measurement | None = None,
    has_price: bool = False,
) -> str:
    """Return the generated part of the document: its basis, and the table.

    Args:
        assumptions: the assumptions.
        measurement: what was measured on a card; None if nothing was.
        has_price: whether the price of a GPU node is that of a node with the measured card. The
            assumed price is that of a node with the assumed one.
    """
    prices, gpu_name = assumptions["dollars_per_hour"], assumptions["gpu"]["name"]
    knows_price = measurement is None or has_price or gpu_name in measurement.card
    card = gpu_name if measurement is None else measurement.card
    figures = {} if measurement is None else measurement.figures
    dollars_per_hour = {
        "core": prices["cpu_node"] / assumptions["cpu_node_cores"],
        "GPU": prices["gpu_node"],
    }
    lines = [HEADER]
    for name, dataset in assumptions["datasets"].items():
        hours = {"core": 0.0, "GPU": 0.0}
        for step in plan_steps(assumptions, dataset, figures):
            hours[step.worker] += step.hours
            worker = "core" if step.worker == "core" else card
            dollars = f"{step.hours * dollars_per_hour[step.worker]:,.2f}"
            lines.append(
                f"| {name} | {step.name} | {step.items:,.0f} {step.unit} | {step.rate:,.4g} | "
                f"{'measured' if step.is_measured else 'assumed'} | {step.hours:,.2f} ({worker}) | "
                f"{dollars if knows_price or worker == 'core' else 'no price'} |"
            )
        head = hours["GPU"] / assumptions["gpu_nodes"] * prices["head"]
        workers = sum(hours[kind] * dollars_per_hour[kind] for kind in ("GPU", "core"))
        spot = workers * prices["spot_share"] + head
        total = f"**{workers + head:,.2f}**, {spot:,.2f} spot" if knows_price else "no price"
        lines.append(
            f"| **{name}** | all | {dataset['hours']:g} h of video | | | "
            f"**{hours['GPU']:,.1f} ({card})**, {hours['core']:,.1f} (core) | {total} |"
        )
    table = "\n".join(lines)
    return f"{describe_basis(assumptions, measurement)}\n\n{table}"


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
        measurement = None
        if not any(override.startswith(REPLACED) for override in options.overrides):
            measurement = read_measurement(RECORD, MEASURED)
        has_price = any(override.startswith(GPU_PRICE) for override in options.overrides)
        table = make_table(read_assumptions(options.overrides), measurement, has_price)
    except ValueError as error:
        parser.error(str(error))
    if options.write:
        DOCUMENT.write_text(replace_table(DOCUMENT.read_text(), table))
        if measurement is not None:
            MEASURED.write_text(json.dumps(measurement.content, indent=1) + "\n")
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
