"""Publication of a sweep: the page, the winner's checkpoint, MLflow, and the last lines printed."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from exvad.checkpoints.checkpoint import Checkpoint, saved_checkpoint
from exvad.checkpoints.local_tracking import database_path, tracking_errors
from exvad.checkpoints.provenance import git_commit
from exvad.checkpoints.registry import CHECKPOINT
from exvad.config.counts import count_of
from exvad.inference.domain import Domain
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.train import trained_checkpoint
from exvad.tuning.confirm import ConfirmedSetting
from exvad.tuning.context import SUMMARY, SweepContext
from exvad.tuning.importance import parameter_importance
from exvad.tuning.outcome import SweepOutcome, as_overrides
from exvad.tuning.page import render_sweep
from exvad.tuning.tracking import ALIAS, log_sweep, register_champion

PAGE, SPACE = "sweep.html", "space.yaml"


def publish(sweep: SweepContext, outcome: SweepOutcome) -> None:
    """Write the page and the winner's checkpoint, log to MLflow, register the winner, print.

    The summary is written last: without it the sweep counts as unfinished.

    Args:
        sweep: the inputs of the sweep.
        outcome: the outcome of the sweep.
    """
    with ExitStack() as stack:
        checkpoint: Path | None = None
        commands: list[str] = []
        if outcome.confirmed:
            winner = outcome.confirmed[0]
            trained = _checkpoint(sweep, winner, outcome.domain)
            checkpoint = stack.enter_context(saved_checkpoint(sweep.folder / CHECKPOINT, trained))
            commands = _commands(sweep, winner)
        _publish(sweep, outcome, commands, checkpoint)


def _publish(
    sweep: SweepContext, outcome: SweepOutcome, commands: list[str], checkpoint: Path | None
) -> None:
    options = sweep.options
    files = {PAGE: _page(sweep, outcome, commands), SPACE: sweep.space_text()}
    for name, text in files.items():
        (sweep.folder / name).write_text(text)
    lineage = {
        "data": sweep.inputs.manifest.fingerprint(),
        "commit": git_commit(),
        "preset": options.preset,
        "search": options.search,
        "space": files[SPACE],
    }
    done = f"the sweep is complete: {sweep.folder}"
    with tracking_errors(database_path(sweep.config.mlflow_uri), done):
        run_id = log_sweep(sweep.config, outcome, lineage, files, checkpoint)
        version = register_champion(sweep.config, run_id, lineage) if outcome.confirmed else None
    if outcome.confirmed:
        (sweep.folder / SUMMARY).write_json(_summary(outcome, run_id, version))
    _print_summary(sweep, outcome, run_id, version, commands)


def _checkpoint(sweep: SweepContext, winner: ConfirmedSetting, domain: Domain | None) -> Checkpoint:
    inputs = sweep.inputs
    label_CD = inputs.labels.embeddings(winner.config)
    return trained_checkpoint(
        winner.config, winner.state, label_CD, inputs.labels.phrases, inputs.manifest, domain
    )


def _summary(outcome: SweepOutcome, run_id: str, version: str | None) -> dict[str, Any]:
    winner = outcome.confirmed[0]
    return {
        "winner": winner.parameters,
        "score": winner.mean,
        "deviation": winner.deviation,
        "note": outcome.note,
        "trials": len(outcome.records),
        "mlflow_run": run_id,
        "version": version,
    }


def _commands(sweep: SweepContext, winner: ConfirmedSetting) -> list[str]:
    options, checkpoint = sweep.options, sweep.folder / CHECKPOINT
    overrides = [*options.overrides, *as_overrides(winner.parameters)]
    return [
        shlex.join(["exvad", "train", "--preset", options.preset, *overrides]),
        shlex.join(["exvad", "serve", "--checkpoint", str(checkpoint)]),
    ]


def _page(sweep: SweepContext, outcome: SweepOutcome, commands: list[str]) -> str:
    importance = parameter_importance(outcome.records, sweep.space)
    return render_sweep(
        outcome.records, outcome.confirmed, sweep.space, commands, importance, outcome.note
    )


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
        f"{count_of(len(outcome.records), 'trial')}: {pruned} stopped early, {failed} failed; "
        f"MLflow run {run_id}"
    ]
    if outcome.confirmed:
        winner, model = outcome.confirmed[0], sweep.config.mlflow.model
        lines += [
            f"winner: {winner.estimate}; {outcome.note}",
            f"registered as models:/{model}@{ALIAS}, version {version}",
            "next:",
            *(f"  {command}" for command in commands),
        ]
    else:
        lines.append(outcome.note)
    page = sweep.folder / PAGE
    lines.append(f"page: {Path(page.path).as_uri() if page.is_local else page}")
    console.print(*lines, sep="\n", soft_wrap=True, highlight=False, markup=False)
