"""What a comparison leaves: tables as HTML and Markdown, all metrics as CSV, and runs in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from exvad.baselines import SYSTEMS
from exvad.checkpoints.local_tracking import database_path, tracking_errors
from exvad.checkpoints.provenance import git_commit
from exvad.checkpoints.tracking import open_experiment, provenance_tags
from exvad.data.dataset import read_run_manifest
from exvad.data.storage.places import resolve_place
from exvad.evaluation.comparison_tables import Row, comparison_csv, comparison_tables
from exvad.evaluation.paper_tables import as_markdown
from exvad.pipeline.progress.terminal import console
from exvad.report.tables_page import render_tables

if TYPE_CHECKING:
    from exvad.config import Config

FOLDER = "comparison"
PAGE, MARKDOWN, CSV = "tables.html", "tables.md", "results.csv"


def publish(
    config: Config, protocol: str, rows: Sequence[Row], efficiency_of: str, *, changed: bool
) -> None:
    """Write the tables of a comparison, print them, and log what is new to MLflow.

    Args:
        config: the configuration of the run.
        protocol: protocol of the mAP columns.
        rows: the systems with their results.
        efficiency_of: the length of the input of the measured efficiency, in words.
        changed: whether a training is new; else MLflow has everything.
    """
    dataset, folder = config.data.kind, resolve_place(config.in_run(FOLDER))
    systems = {*SYSTEMS, *(record["system"] for row in rows for record in row.records)}
    tables = comparison_tables(
        rows, dataset, protocol, config.train.select_on, efficiency_of, sorted(systems)
    )
    files = {
        MARKDOWN: as_markdown(tables),
        PAGE: render_tables(f"exvad compare {dataset}", tables),
        CSV: comparison_csv(rows),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    console.print(files[MARKDOWN], highlight=False, markup=False, soft_wrap=True)
    if changed:
        with tracking_errors(
            database_path(config.mlflow_uri), f"the comparison is complete: {folder}"
        ):
            run_id = log_comparison(config, rows, files)
        console.print(f"MLflow run {run_id} in experiment {config.mlflow.experiment}")
    listed = ", ".join(str(folder / name) for name in files)
    console.print(f"tables: {listed}", highlight=False, soft_wrap=True)


def log_comparison(config: Config, rows: Sequence[Row], files: Mapping[str, str]) -> str:
    """Log a comparison: a parent run with the tables, a child run per system and seed.

    Args:
        config: names the tracking store and the experiment.
        rows: the systems with their results.
        files: artifacts of the parent run, name → text.

    Returns:
        The id of the parent run.
    """
    import mlflow

    experiment = open_experiment(config)
    lineage = {"data": read_run_manifest(config).fingerprint(), "commit": git_commit()}
    with mlflow.start_run(experiment_id=experiment, run_name=FOLDER) as parent:
        mlflow.set_tags(provenance_tags(lineage))
        for name, text in files.items():
            mlflow.log_text(text, name)
        for row in rows:
            for record in row.done:
                title = f"{record['system']} {record['way']} seed {record['seed']}"
                with mlflow.start_run(experiment_id=experiment, run_name=title, nested=True):
                    names = ("system", "way", "seed", "text", "steps")
                    options = {**record["options"], **record["chosen"]}
                    mlflow.log_params({name: record[name] for name in names} | options)
                    metrics = {**record["metrics"], **(row.efficiency or {})}
                    metrics |= {f"best_{name}": v for name, v in record["selection"].items()}
                    metrics["training_seconds"] = record["training_seconds"]
                    known = {name: value for name, value in metrics.items() if value is not None}
                    mlflow.log_metrics(known)
    return str(parent.info.run_id)
