"""Ablate: train and measure every variant of a plan; the paper's Tables 4 to 6 and Figure 4.

`exvad ablate --preset demo --seeds 3` reads the features and labels of a run and writes
RUN/ablations/. Results that are there already are kept, so a stopped run continues; those of other
features or labels do not count.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from exvad.config import Config, override_config
from exvad.data.dataset import read_run_manifest
from exvad.data.storage.places import resolve_place
from exvad.evaluation.ablation_plan import cell_name, check_plan, make_tables, read_plan
from exvad.evaluation.experiment import run_experiment
from exvad.evaluation.paper_tables import as_markdown
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.placement import Demand, check_placement, waiting_reported
from exvad.pipeline.progress.terminal import console, progress_bar
from exvad.pipeline.session import ray_session
from exvad.pipeline.shared_places import check_shared, shared_places
from exvad.pipeline.studies.results import read_result
from exvad.pipeline.tasks import RETRIES, get_result
from exvad.report.sensitivity_curves import draw_curves
from exvad.report.tables_page import render_tables
from exvad.store.store import Store
from exvad.training.run_inputs import RunInputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exvad.data.storage.marks import Marks
    from exvad.data.storage.places import Place
    from exvad.evaluation.ablation_plan import Plan
    from exvad.evaluation.scored import Metrics

FOLDER = "ablations"


def ablate(config: Config, plan_file: Path | None, seeds: int, protocol: str) -> int:
    """Train and measure every variant of a plan; write its tables and curves.

    Args:
        config: the configuration of the run.
        plan_file: YAML file of the plan; None for the paper's ablations.
        seeds: trainings per variant, at least 1.
        protocol: protocol of the mAP columns, `strict` or `vadclip`.

    Returns:
        The exit code.

    Raises:
        ValueError: `seeds` is below 1, or the plan is wrong.
    """
    if seeds < 1:
        raise ValueError(f"--seeds {seeds}: give at least one")
    plan = read_plan(plan_file)
    check_plan(plan)
    cells = _cells(config, plan, seeds)
    missing = {path: cell for of_seed in cells.values() for path, cell in of_seed.items()
               if not path.exists()}  # fmt: skip
    console.print(f"{len(missing)} of {sum(map(len, cells.values()))} trainings are missing")
    if missing:
        run_cells(config, missing)
    results: dict[str, list[Metrics]] = {
        name: [read_result(path) for path in of_seed] for name, of_seed in cells.items()
    }
    _write_results(config, plan, results, protocol)
    return 0


def result_place(config: Config, data: str, folder: str = FOLDER, key: str = "") -> Place:
    """Return the file of a cell's result, whose name is a hash of everything it depends on.

    Args:
        config: the configuration of the cell.
        data: of the videos, labels and features; see `RunInputs.key`.
        folder: name of the study's folder in the run.
        key: what else it depends on.
    """
    settings = config.model_dump_json(include={"model", "train", "labels", "data", "clip"})
    digest = hashlib.sha256(f"{settings} {data}{key}".encode()).hexdigest()[:16]
    return resolve_place(config.in_run(folder, f"{digest}.json"))


def run_cells(config: Config, cells: Mapping[Place, Config]) -> None:
    """Run experiments side by side on Ray and write each result.

    Args:
        config: the configuration of the run.
        cells: file of the result → configuration of the experiment.
    """
    manifest = read_run_manifest(config)
    labels = RunLabels.load(config, manifest.classes)
    title = "ablating"
    with shared_places(read={"store": config.store_path}) as marks, ray_session():
        task = experiment_task(config, title, marks)
        store = Store(config.store_path, marks)
        write_results(
            title,
            {path: task.remote(cell, manifest, store, labels) for path, cell in cells.items()},
        )


def write_results(title: str, results: Mapping[Place, Any]) -> None:
    """Wait for the results of tasks and write each as soon as it is there.

    Args:
        title: the step, as shown to the user.
        results: file of a result → reference to the result.
    """
    pending = {reference: path for path, reference in results.items()}
    with progress_bar() as bar, waiting_reported(title) as reporter:
        row = bar.add_task(title, total=len(pending))
        while pending:
            (reference,), _ = ray.wait(list(pending))
            pending.pop(reference).write_json(get_result(reference))
            reporter.progress()
            bar.advance(row)


def experiment_task(config: Config, title: str, marks: Marks) -> Any:
    """Return `run_experiment` as a Ray task with the resources of a training.

    Args:
        config: the configuration of the run.
        title: the step that needs it, as shown to the user.
        marks: those of the store, which the tasks read.

    Raises:
        PlacementError: the cluster has no GPU and `train.gpu` is set.
        UnsharedPlaceError: a node does not see the store.
    """
    demand = Demand("training", "train.gpu", 1, 1 if config.train.gpu else 0)
    check_placement(title, [demand])
    check_shared(marks)
    return ray.remote(max_retries=RETRIES, num_cpus=demand.cpus, num_gpus=demand.gpus)(
        run_experiment
    )


def _cells(config: Config, plan: Plan, seeds: int) -> dict[str, dict[Place, Config]]:
    """Return name of each cell → per seed, the file of its result → its configuration."""
    inputs = RunInputs.read(config)
    cells: dict[str, dict[Place, Config]] = {}
    for settings in plan.cells():
        of_seed = cells.setdefault(cell_name(settings), {})
        for seed in range(config.train.seed, config.train.seed + seeds):
            cell = override_config(config, {**settings, "train.seed": seed})
            of_seed[result_place(cell, inputs.key(cell.model.text))] = cell
    return cells


def _write_results(
    config: Config, plan: Plan, results: dict[str, list[Metrics]], protocol: str
) -> None:
    folder = resolve_place(config.in_run(FOLDER))
    tables = make_tables(plan, results, protocol, config.train.select_on)
    drawings = []
    for index, (curve, drawing) in enumerate(draw_curves(plan, results, protocol), 1):
        file = folder / f"curve{index}.svg"
        file.write_text(drawing)
        drawings.append(drawing)
        console.print(f"{curve.title}: {file}", highlight=False)
    (folder / "tables.md").write_text(as_markdown(tables))
    (folder / "tables.html").write_text(render_tables("Ablations", tables, drawings))
    console.print(as_markdown(tables), highlight=False, markup=False, soft_wrap=True)
    console.print(f"tables: {folder / 'tables.md'}, {folder / 'tables.html'}", highlight=False)
