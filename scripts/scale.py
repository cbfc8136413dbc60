"""What preprocessing a data set costs in core-hours, GPU-hours and dollars: docs/scale.md's table.

python scripts/scale.py                     prints the table for scripts/scale.yaml
python scripts/scale.py gpu.tflops=312 …    with other assumptions
python scripts/scale.py --write             puts it into docs/scale.md
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


@dataclass(frozen=True)
class Stage:
    """What a stage does to a data set.

    Args:
        name: as the table shows it.
        items: how many there are to do.
        unit: what they are.
        rate: items per second of one worker.
        worker: core or GPU.
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
    """Read scripts/scale.yaml, with `section.key=value` overrides.

    Raises:
        ValueError: an override names no key that is there, or gives it no number.
    """
    values: dict[str, Any] = yaml.safe_load(ASSUMPTIONS.read_text())
    for override in overrides:
        path, _, raw = override.partition("=")
        *sections, key = path.split(".")
        section: Any = values
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section or isinstance(section[key], dict):
            raise ValueError(f"{override!r}: no such assumption in {ASSUMPTIONS.name}")
        number = yaml.safe_load(raw)
        if not isinstance(number, int | float):
            raise ValueError(f"{override!r}: {raw!r} is no number")
        section[key] = number
    return values


def gpu_seconds(given: Mapping[str, Any], parameters: float, read: float, written: float) -> float:
    """Return the seconds a GPU takes for one item of a transformer.

    Reading is bound by arithmetic, two operations per parameter and token; writing by memory, from
    which all parameters come once per step for the whole batch.

    Args:
        given: the assumptions.
        parameters: of the model, in millions.
        read: tokens it reads.
        written: tokens it writes, one per step.
    """
    gpu = given["gpu"]
    arithmetic = 2 * parameters * 1e6 * (read + written) / (gpu["tflops"] * 1e12)
    weights = parameters * 1e6 * given["bytes_per_parameter"] / (gpu["gb_per_second"] * 1e9)
    return float((arithmetic + written * weights / given["batch"]) / gpu["utilisation"])


def stages(given: Mapping[str, Any], dataset: Mapping[str, float]) -> list[Stage]:
    """Return what is to be done for a data set."""
    models, videos = given["models"], dataset["videos"]
    frames = dataset["hours"] * 3600 * dataset["fps"]
    clip, eyes, words = models["clip"], models["blip2_eyes"], models["blip2_words"]
    keeps = given["gpu"]["pipeline"]
    encode = gpu_seconds(given, clip["parameters"], clip["tokens"], 0)
    caption = gpu_seconds(given, eyes["parameters"], eyes["tokens"], 0) + gpu_seconds(
        given, words["parameters"], words["tokens"], given["caption_tokens"]
    )
    explain = gpu_seconds(
        given, models["llama"]["parameters"], given["prompt_tokens"], given["explanation_tokens"]
    )
    ours = given["cpu"]["language_ms_per_video"] / 1000
    captions = videos * given["captions_per_video"]
    decode = given["cpu"]["decode_frames_per_second"]
    return [
        Stage("decode", frames, "frames", decode, "core"),
        Stage("CLIP", frames / given["frames_per_snippet"], "snippets", keeps / encode, "GPU"),
        Stage("captions", captions, "captions", keeps / caption, "GPU"),
        Stage("explanations", videos, "videos", 1 / (explain + ours), "GPU"),
    ]


def table(given: Mapping[str, Any]) -> str:
    """Return the document's table, a row per data set and stage, and one for the whole."""
    name = given["gpu"]["name"]
    lines = [
        "| data set | stage | work | each worker, per second | hours of one worker | dollars |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    prices = given["dollars_per_hour"]
    per_hour = {
        "core": prices["cpu_node"] / given["cpu_node_cores"],
        "GPU": prices["gpu_node"],
    }
    for dataset, about in given["datasets"].items():
        done = stages(given, about)
        for stage in done:
            worker = "core" if stage.worker == "core" else name
            cost = stage.hours * per_hour[stage.worker]
            lines.append(
                f"| {dataset} | {stage.name} | {stage.items:,.0f} {stage.unit} | "
                f"{stage.rate:,.4g} | {stage.hours:,.2f} ({worker}) | {cost:,.2f} |"
            )
        gpu_hours = sum(stage.hours for stage in done if stage.worker == "GPU")
        core_hours = sum(stage.hours for stage in done if stage.worker == "core")
        wall = gpu_hours / given["gpu_nodes"]
        workers = gpu_hours * per_hour["GPU"] + core_hours * per_hour["core"]
        head = wall * prices["head"]
        lines.append(
            f"| **{dataset}** | all | {about['hours']:g} h of video | | "
            f"**{gpu_hours:,.1f} ({name})**, {core_hours:,.1f} (core) | "
            f"**{workers + head:,.2f}**, {workers * prices['spot_share'] + head:,.2f} spot |"
        )
    return "\n".join(lines)


def with_table(document: str, text: str) -> str:
    """Put the table between the document's marks."""
    before, _, rest = document.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{DOCUMENT.name} lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--write", action="store_true", help="put the table into docs/scale.md")
    options = parser.parse_args(arguments)
    try:
        text = table(read_assumptions(options.overrides))
    except ValueError as error:
        parser.error(str(error))
    if options.write:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(), text))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
