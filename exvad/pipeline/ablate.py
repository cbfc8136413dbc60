"""Ablate: train and measure every variant of a plan; the paper's Tables 4 to 6 and Figure 4.

`python jobs/ablate.py --preset demo --seeds 3` reads the features and labels of the run's folder
and writes RUN/ablations/. Results that are already there are kept, so a stopped run goes on.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvad.pipeline.session import console, progress_bar, ray_session

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.evaluation.paper_tables import Figures

FOLDER = "ablations"


def cell_config(config: Config, settings: dict[str, Any], seed: int) -> Config:
    """Return the configuration of a cell.

    Raises:
        ConfigError: the plan names a setting that does not exist.
    """
    from exvad.config import build_config

    values = config.model_dump(by_alias=True)
    for key, value in {**settings, "train.seed": seed}.items():
        inner, *path = values, *key.split(".")
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
    return build_config(values, where="plan")


def result_path(config: Config, data: str) -> Path:
    """Return where a cell's result is kept: named by all that determines it."""
    decisive = config.model_dump_json(include={"model", "train", "labels", "data", "clip"})
    digest = hashlib.sha256(f"{decisive} {data}".encode()).hexdigest()[:16]
    return config.run_path / FOLDER / f"{digest}.json"


def run_cells(config: Config, cells: dict[Path, Config]) -> None:
    """Run the experiments whose results are not there yet, side by side on Ray."""
    import ray

    from exvad.data.atomic import write_json_atomic
    from exvad.data.dataset import saved_manifest
    from exvad.evaluation.experiment import run_experiment
    from exvad.laam.run_labels import RunLabels
    from exvad.store.store import Store

    labels = RunLabels.load(config)
    manifest, store = saved_manifest(config), Store(config.store_path)
    with ray_session(), progress_bar() as bar:
        resources = {"num_gpus": 1} if config.train.gpu else {"num_cpus": 1}
        task = ray.remote(max_retries=2, **resources)(run_experiment)
        waiting = {}
        for path, cell in cells.items():
            waiting[task.remote(cell, manifest, store, labels)] = path
        row = bar.add_task("ablating", total=len(waiting))
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            write_json_atomic(waiting.pop(done), ray.get(done))
            bar.advance(row)


def ablate(config: Config, plan_file: Path | None, seeds: int, protocol: str) -> int:
    """Train and measure every variant of a plan; write its tables and curves.

    Args:
        config: the configuration.
        plan_file: YAML file of the plan; None for the paper's ablations.
        seeds: trainings per variant, at least 1.
        protocol: of the mAP columns, `strict` or `vadclip`.

    Returns:
        The exit code.

    Raises:
        ValueError: `seeds` is below 1, or the plan is wrong.
    """
    if seeds < 1:
        raise ValueError(f"--seeds {seeds}: give at least one")

    from exvad.data.atomic import write_text_atomic
    from exvad.data.dataset import saved_manifest
    from exvad.evaluation.ablation_plan import cell_name, make_tables, read_plan
    from exvad.evaluation.paper_tables import as_markdown, as_page
    from exvad.evaluation.sensitivity_curves import draw_curves

    plan = read_plan(plan_file)
    data = saved_manifest(config).fingerprint()
    wanted: dict[str, list[Path]] = {}
    missing: dict[Path, Config] = {}
    for settings in plan.cells():
        for number in range(seeds):
            cell = cell_config(config, settings, config.train.seed + number)
            path = result_path(cell, data)
            wanted.setdefault(cell_name(settings), []).append(path)
            if not path.exists():
                missing[path] = cell
    folder = config.run_path / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"{len(missing)} of {sum(map(len, wanted.values()))} trainings are to be done")
    if missing:
        run_cells(config, missing)
    results: dict[str, list[Figures]] = {
        name: [json.loads(path.read_text()) for path in paths] for name, paths in wanted.items()
    }
    tables = make_tables(plan, results, protocol, config.train.select_on)
    drawings = []
    for number, (curve, drawing) in enumerate(draw_curves(plan, results, protocol), 1):
        write_text_atomic(folder / f"curve{number}.svg", drawing)
        drawings.append(drawing)
        console.print(f"{curve.title}: {folder / f'curve{number}.svg'}", highlight=False)
    write_text_atomic(folder / "tables.md", as_markdown(tables))
    write_text_atomic(folder / "tables.html", as_page("Ablations", tables, drawings))
    console.print(as_markdown(tables), highlight=False, markup=False, soft_wrap=True)
    console.print(f"tables: {folder / 'tables.md'}, {folder / 'tables.html'}", highlight=False)
    return 0
