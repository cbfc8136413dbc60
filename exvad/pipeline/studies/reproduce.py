"""Reproduce: features → labels → several trainings → evaluation → the paper's tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from exvad.config import Config, load_config
from exvad.data.storage.places import Place, resolve_place
from exvad.evaluation.experiment import summary_metrics
from exvad.evaluation.paper_tables import as_markdown, result_tables
from exvad.pipeline.studies.child_jobs import run_job
from exvad.pipeline.studies.results import read_result
from exvad.report.tables_page import render_tables
from exvad.store.fingerprint import read_fingerprint
from exvad.store.parts import PartFolder
from exvad.training.run_inputs import RunInputs

MANIFEST = "manifest.parquet"
LABELS = ("labels.json", "labels.npz")
SIGNATURE = "done.json"


def reproduce(preset: str, overrides: Sequence[str], seeds: int, protocol: str) -> int:
    """Run the whole protocol of a preset and print the paper's tables with the measured rows.

    A second run repeats no step that is done: features and labels are made once, and each seed has
    a folder RUN/seed0, RUN/seed1, … with its own checkpoint, metrics and report.

    Args:
        preset: a packaged preset's name or a YAML file.
        overrides: `section.field=value` items.
        seeds: number of trainings.
        protocol: protocol of the measured mAP, `vadclip` or `strict`.

    Returns:
        The exit code.

    Raises:
        ValueError: the configuration is wrong, or a job failed; the same command continues there.
    """
    if seeds < 1:
        raise ValueError(f"--seeds {seeds}: give at least one")
    console = Console(highlight=False)
    config = load_config(preset, overrides)
    run = resolve_place(config.run)
    arguments = ["--preset", preset, *overrides]
    if not _features_imported(config):
        run_job("preprocess", arguments)
    if not any((run / name).exists() for name in LABELS):
        run_job("labels", arguments)
    summaries = []
    for seed in range(config.train.seed, config.train.seed + seeds):
        console.rule(f"seed {seed}")
        summaries.append(_train_and_evaluate(config, seed, arguments))
    _write_tables(console, config, summaries, protocol)
    return 0


def _features_imported(config: Config) -> bool:
    """Return whether `exvad import-features` made the features, so that no video is needed."""
    fingerprint = read_fingerprint(PartFolder(config.store_path, "vision"))
    imported = fingerprint is not None and "imported" in fingerprint
    return imported and resolve_place(config.in_run(MANIFEST)).exists()


def _train_and_evaluate(config: Config, seed: int, arguments: Sequence[str]) -> dict[str, Any]:
    """Train and evaluate with one seed, unless that is done; return the summary."""
    run, folder = resolve_place(config.run), resolve_place(config.in_run(f"seed{seed}"))
    inputs = [name for name in (MANIFEST, *LABELS) if (run / name).exists()]
    for name in inputs:
        (folder / name).write_bytes((run / name).read_bytes())
    signature_file, signature = folder / SIGNATURE, _signature(config, folder, inputs)
    if not signature_file.exists() or read_result(signature_file) != signature:
        of_seed = [f"run={folder}", f"store={config.store_path}", f"train.seed={seed}"]
        run_job("train", [*arguments, *of_seed])
        run_job("evaluate", [*arguments, *of_seed])
        signature_file.write_json(signature)
    return read_result(folder / "summary.json")


def _signature(config: Config, folder: Place, inputs: Sequence[str]) -> dict[str, Any]:
    """Return everything that the results of a seed depend on; of the features, what tells them."""
    return {
        "settings": json.loads(config.model_dump_json(by_alias=True)),
        "inputs": RunInputs.read(config).key(config.model.text),
        **{name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in inputs},
    }


def _write_tables(
    console: Console, config: Config, summaries: Sequence[dict[str, Any]], protocol: str
) -> None:
    runs = [summary_metrics(summary) for summary in summaries]
    selected_on, random_baseline = summaries[0]["selected_on"], summaries[0]["random"]
    record = {
        "protocol": protocol,
        "selected_on": selected_on,
        "random_baseline": random_baseline,
        "runs": runs,
    }
    run = resolve_place(config.run)
    (run / "reproduction.json").write_json(record)
    dataset = config.data.kind
    tables = result_tables(dataset, runs, random_baseline, protocol, selected_on)
    markdown_file, page = run / "tables.md", run / "tables.html"
    markdown_file.write_text(as_markdown(tables))
    page.write_text(render_tables(f"exvad reproduce {dataset}", tables))
    console.print(as_markdown(tables), markup=False, soft_wrap=True)
    console.print(f"tables: {markdown_file}, {page}", soft_wrap=True)
