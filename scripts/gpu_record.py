"""The figures that `make test-gpu` measured on a card, as a section of docs/benchmarks.md.

python -m scripts.gpu_record    writes the section from runs/gpu.json

`python scripts/scale.py --write` keeps a copy of the figures in scripts/scale_measured.json, from
which the section can be written again without a card.
"""

from __future__ import annotations

from scripts.scale import HERE, MEASURED, RECORD, Measurement, read_measurement

BENCHMARKS = HERE.parent / "docs" / "benchmarks.md"
HEADING = "## On a GPU"
NOT_RUN = (
    "Not measured: `make test-gpu` has not run on a card yet. Without one, its tests run in "
    "miniature on the CPU, and the full models are built and run once on a pretended card, where "
    "tensors have devices and shapes but no content. That finds mistakes, and measures nothing."
)


def gpu_section(measurement: Measurement | None) -> str:
    """Return the section, with its heading and a line break at its end."""
    if measurement is None:
        return f"{HEADING}\n\n{NOT_RUN}\n"
    skipped = measurement.content.get("not_run", {})
    lines = [
        HEADING,
        "",
        f"`make test-gpu`, {measurement.date}, on one {measurement.card} "
        f"({measurement.source}) beside {measurement.content.get('cores')} cores. The models have "
        "the size of the paper's and random weights; errors are relative to float32 on the CPU.",
        "",
        "| metric | measured |",
        "| --- | --- |",
        *[f"| {name} | {value:.4g} |" for name, value in sorted(measurement.figures.items())],
        *[f"| {name} | not measured: {reason} |" for name, reason in sorted(skipped.items())],
    ]
    return "\n".join(lines) + "\n"


def replace_section(document: str, section: str) -> str:
    """Return the document with this section at its end, in place of an older one."""
    before, _, _ = document.partition(HEADING)
    return f"{before.rstrip()}\n\n{section}"


def main() -> None:
    """Write the section into docs/benchmarks.md."""
    section = gpu_section(read_measurement(RECORD, MEASURED))
    BENCHMARKS.write_text(replace_section(BENCHMARKS.read_text(), section))


if __name__ == "__main__":
    main()
