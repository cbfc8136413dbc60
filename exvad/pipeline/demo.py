"""`exvad demo`: the main job from videos to report, by the same commands that a cluster runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exvad.config import Config, load_config

STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("preprocess", ()),
    ("labels", ()),
    ("train", ()),
    ("evaluate", ("--variants",)),
)


class JobFailedError(ValueError):
    """A job of the demo ended with an error."""


def run_demo(preset: str, overrides: Sequence[str], fresh: bool) -> int:
    """Run the main job on the demo world and print what came out.

    Args:
        preset: the demo preset or one made from it.
        overrides: `section.field=value` items.
        fresh: throw away an earlier run first.

    Returns:
        The exit code.

    Raises:
        StageFailedError: a stage failed; running again goes on there.
        ValueError: the configuration is wrong.
    """
    from rich.console import Console

    console = Console()
    config = load_config(preset, overrides)
    run = config.run_path
    if fresh:
        shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    seconds: dict[str, float] = {}
    console.rule("[bold]exvad demo")
    begin = time.monotonic()
    _render(config)
    seconds["render"] = round(time.monotonic() - begin, 1)
    for name, flags in STAGES:
        console.print(f"[bold]{name}[/]", highlight=False)
        begin = time.monotonic()
        run_job(name, [*flags, "--preset", preset, *overrides])
        seconds[name] = round(time.monotonic() - begin, 1)
    summary_file = run / "summary.json"
    summary = json.loads(summary_file.read_text())
    summary["seconds"] = seconds
    summary["seconds_total"] = round(time.monotonic() - started, 1)

    from exvad.data.atomic import write_json_atomic

    write_json_atomic(summary_file, summary)
    _last_screen(console, config, summary)
    return 0


def run_job(verb: str, arguments: Sequence[str]) -> None:
    """Run a command of exvad in a process of its own, with a Ray session of its own.

    Raises:
        StageFailedError: it ended with an error.
    """
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    finished = subprocess.run(
        [sys.executable, "-m", "exvad.cli", verb, *arguments], env=environment, check=False
    )
    if finished.returncode:
        raise JobFailedError(
            f"exvad {verb} ended with exit code {finished.returncode}; what it said stands above. "
            "Run the same command again to go on from there."
        )


def _render(config: Config) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from exvad.data.dataset import load_manifest

    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task("rendering the world", total=None)
        load_manifest(config, lambda done, of: bar.update(task, completed=done, total=of))


def _last_screen(console, config: Config, summary) -> None:  # type: ignore[no-untyped-def]
    from rich.table import Table

    console.rule("[bold]what came out")
    table = Table(show_header=True, header_style="bold")
    for heading in (
        "text beside the picture",
        "frame AUC",
        "frame AP",
        "mAP strict",
        "class right",
    ):
        table.add_column(heading)
    names = {"none": "none", "captions": "captions", "explanation": "explanation (Ex-VAD)"}
    for text, row in sorted(
        summary["variants"].items(), key=lambda item: list(names).index(item[0])
    ):
        table.add_row(
            names[text],
            f"{row['frame_auc']:.3f}",
            f"{row['frame_ap']:.3f}",
            f"{row['map_strict_average']:.1f} %",
            f"{row['class_accuracy']:.0%}",
        )
    console.print(table)
    named = summary["explanation_class_accuracy"]
    console.print(
        f"{summary['videos']} test videos, {summary['failed']} failed; the explanation names the "
        f"right class in {named:.0%}; {summary['seconds_total']:.0f} s in all",
        highlight=False,
    )
    report = config.run_path / "report.html"
    video = next(iter(sorted(Path(config.data.root).glob("seed*/test*.mp4"))), Path("VIDEO"))
    console.print(
        f"\nreport: [bold]{report.resolve().as_uri()}[/]", highlight=False, soft_wrap=True
    )
    console.print("\nnext:", highlight=False)
    for line in (
        f"exvad analyze {video}",
        "exvad analyze YOUR_VIDEO.mp4 --html analysis.html",
        f"mlflow ui --backend-store-uri {config.mlflow_uri}",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
