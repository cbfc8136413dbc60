"""Publication of a sweep: the page, the winner's checkpoint, MLflow, and the last lines printed."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from exvad.checkpoints.checkpoint import git_commit, save_checkpoint
from exvad.checkpoints.local_tracking import database_path, tracking_errors
from exvad.data.atomic import write_text_atomic
from exvad.pipeline.terminal import console
from exvad.pipeline.train import trained_checkpoint
from exvad.tuning.confirm import ConfirmedSetting
from exvad.tuning.context import SweepContext
from exvad.tuning.importance import parameter_importance
from exvad.tuning.outcome import SweepOutcome, as_overrides
from exvad.tuning.page import render_sweep
from exvad.tuning.tracking import ALIAS, log_sweep, register_champion


def publish(sweep: SweepContext, outcome: SweepOutcome) -> None:
    """Write the page and the winner's checkpoint, log to MLflow, register the winner, print.

    Args:
        sweep: the inputs of the sweep.
        outcome: the outcome of the sweep.
    """
    options = sweep.options
    files: list[Path] = []
    commands: list[str] = []
    if outcome.confirmed:
        winner = outcome.confirmed[0]
        files.append(_save_checkpoint(sweep, winner))
        commands = _commands(sweep, winner, files[0])
    files += _write_page(sweep, outcome, commands)
    lineage = {
        "data": sweep.data.manifest.fingerprint(),
        "commit": git_commit(),
        "preset": options.preset,
        "search": options.search,
        "space": options.space.read_text("utf-8"),
    }
    done = f"the sweep is complete: {sweep.folder}"
    with tracking_errors(database_path(sweep.config.mlflow_uri), done):
        run_id = log_sweep(
            sweep.config, outcome.records, outcome.confirmed, lineage, files, outcome.interrupted
        )
        version = register_champion(sweep.config, run_id, lineage) if outcome.confirmed else None
    _print_summary(sweep, outcome, run_id, version, commands)


def _save_checkpoint(sweep: SweepContext, winner: ConfirmedSetting) -> Path:
    folder = sweep.folder / "checkpoint"
    label_CD = sweep.labels.embeddings(winner.config)
    checkpoint = trained_checkpoint(
        winner.config, winner.state, label_CD, sweep.labels.phrases, sweep.data.manifest
    )
    save_checkpoint(folder, checkpoint)
    return folder


def _commands(sweep: SweepContext, winner: ConfirmedSetting, checkpoint: Path) -> list[str]:
    options = sweep.options
    overrides = [*options.overrides, *as_overrides(winner.parameters)]
    return [
        shlex.join(["exvad", "train", "--preset", options.preset, *overrides]),
        shlex.join(["exvad", "serve", "--checkpoint", str(checkpoint)]),
    ]


def _write_page(sweep: SweepContext, outcome: SweepOutcome, commands: list[str]) -> list[Path]:
    page, space_file = sweep.folder / "sweep.html", sweep.folder / "space.yaml"
    importance = parameter_importance(outcome.records, sweep.space)
    html = render_sweep(
        outcome.records, outcome.confirmed, sweep.space, commands, importance, outcome.note
    )
    write_text_atomic(page, html)
    shutil.copyfile(sweep.options.space, space_file)
    return [page, space_file]


def _print_summary(
    sweep: SweepContext,
    outcome: SweepOutcome,
    run_id: str,
    version: str | None,
    commands: list[str],
) -> None:
    pruned = sum(record.pruned for record in outcome.records)
    failed = sum(record.error is not None for record in outcome.records)
    lines = [
        f"{len(outcome.records)} trials: {pruned} stopped early, {failed} failed; "
        f"MLflow run {run_id}"
    ]
    if outcome.confirmed:
        winner, model = outcome.confirmed[0], sweep.config.mlflow.model
        lines += [
            f"winner: {winner.mean:.4f} ± {winner.deviation:.4f}; {outcome.note}",
            f"registered as models:/{model}@{ALIAS}, version {version}",
            *(f"  {command}" for command in commands),
        ]
    else:
        lines.append(outcome.note)
    lines.append(f"page: {(sweep.folder / 'sweep.html').resolve().as_uri()}")
    console.print(*lines, sep="\n", soft_wrap=True, highlight=False, markup=False)
