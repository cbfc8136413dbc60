"""The demo: all jobs from videos to report on the demo world, by the commands a cluster runs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from exvad.config import Config, load_config
from exvad.config.addresses import shown_address
from exvad.data.atomic import write_json_atomic
from exvad.pipeline.preflight.places import require_places
from exvad.pipeline.progress.manifest import load_manifest_with_progress
from exvad.pipeline.studies.child_jobs import run_job

# Each job with its flags, in the order in which they run.
JOBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("preprocess", ()),
    ("labels", ()),
    ("train", ()),
    ("evaluate", ("--variants",)),
)
TEXT_NAMES = {
    "none": "none",
    "captions": "captions",
    "explanation": "explanation (Ex-VAD)",
    "grounded": "explanation where it speaks of",
}


def run_demo(preset: str, overrides: Sequence[str], fresh: bool) -> int:
    """Run all jobs on the demo world and print the results.

    Args:
        preset: the demo preset, or one made from it.
        overrides: `section.field=value` items.
        fresh: whether to delete an earlier run first.

    Returns:
        The exit code.

    Raises:
        JobFailedError: a job failed; the same command continues there.
        ValueError: the configuration is wrong, or the run can't be written.
    """
    console = Console()
    config = load_config(preset, overrides)
    if not config.is_run_local:
        raise ValueError(f"run={config.run}: the demo works in a local folder")
    require_places(config)
    run = Path(config.run)
    if fresh:
        _delete_run(run)
    run.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    start = time.monotonic()
    console.rule("[bold]exvad demo")
    with _timed(seconds, "render"):
        load_manifest_with_progress(config)
    for verb, flags in JOBS:
        console.print(f"[bold]{verb}[/]", highlight=False)
        with _timed(seconds, verb):
            run_job(verb, [*flags, "--preset", preset, *overrides])
    summary_file = run / "summary.json"
    summary = json.loads(summary_file.read_text())
    summary["seconds"] = seconds
    summary["seconds_total"] = round(time.monotonic() - start, 1)
    write_json_atomic(summary_file, summary)
    _print_results(console, config, summary)
    return 0


def _delete_run(folder: Path) -> None:
    """Delete an earlier run, and nothing else that the name of the run may stand for.

    Raises:
        ValueError: the folder holds something, but no run.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not any((folder / name).exists() for name in ("manifest.parquet", "store", "summary.json")):
        raise ValueError(
            f"{folder} holds no run of exvad: --fresh would delete its files; "
            "delete them yourself, or give another run="
        )
    shutil.rmtree(folder)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - start, 1)


def _print_results(console: Console, config: Config, summary: Mapping[str, Any]) -> None:
    console.rule("[bold]results")
    console.print(_variants_table(summary["variants"]))
    named = summary["explanation_class_accuracy"]
    console.print(
        f"{summary['videos']} test videos, {summary['failed']} failed; the explanation names the "
        f"right class in {named:.0%}; {summary['seconds_total']:.0f} s in all",
        highlight=False,
    )
    report = Path(config.in_run("report.html")).resolve().as_uri()
    console.print(f"\nreport: [bold]{report}[/]", highlight=False, soft_wrap=True)
    video = next(iter(sorted(Path(config.data.root).glob("seed*/test*.mp4"))), Path("VIDEO"))
    console.print("\nnext:", highlight=False)
    for line in (
        f"exvad analyze {video}",
        "exvad analyze YOUR_VIDEO.mp4 --html analysis.html",
        f"mlflow ui --backend-store-uri {shown_address(config.mlflow_uri)}",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)


def _variants_table(variants: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(show_header=True, header_style="bold")
    for heading in ("text beside the frames", "frame AUC", "frame AP", "mAP strict", "class right"):
        table.add_column(heading)
    for text, metrics in variants.items():
        table.add_row(
            TEXT_NAMES[text],
            f"{metrics['frame_auc']:.3f}",
            f"{metrics['frame_ap']:.3f}",
            f"{metrics['map_strict_average']:.1f} %",
            f"{metrics['class_accuracy']:.0%}",
        )
    return table
