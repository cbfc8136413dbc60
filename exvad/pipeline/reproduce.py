"""`exvad reproduce`: features → labels → n trainings → evaluation → the paper's tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exvad.config import Config, load_config
from exvad.evaluation.experiment import summary_metrics
from exvad.evaluation.paper_tables import Figures, as_markdown, as_page, result_tables
from exvad.pipeline.demo import run_job

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.parquet"
LABELS = ("labels.json", "labels.npz")
DONE = "done.json"


def reproduce(preset: str, overrides: Sequence[str], seeds: int, protocol: str) -> int:
    """Run the whole protocol and print the paper's tables with the measured rows.

    Every step that is done stays done: features and labels are made once, and each seed has a
    folder RUN/seed0, RUN/seed1 … with checkpoint, figures and report of its own.

    Args:
        preset: a packaged preset's name or a YAML file.
        overrides: `section.field=value` items.
        seeds: how many trainings.
        protocol: of the measured mAP, `vadclip` or `strict`.

    Returns:
        The exit code.

    Raises:
        ValueError: the configuration is wrong, or a step failed; running again goes on there.
    """
    from rich.console import Console

    from exvad.data.atomic import write_json_atomic, write_text_atomic

    if seeds < 1:
        raise ValueError(f"--seeds {seeds}: give at least one")
    console = Console(highlight=False)
    config = load_config(preset, overrides)
    config.run_path.mkdir(parents=True, exist_ok=True)
    common = ["--preset", preset, *overrides]
    if not _imported(config):
        run_job("preprocess", common)
    if not any((config.run_path / name).exists() for name in LABELS):
        run_job("labels", common)
    summaries = []
    for seed in range(config.train.seed, config.train.seed + seeds):
        console.rule(f"seed {seed}")
        summaries.append(_one_seed(config, seed, common))
    runs: list[Figures] = [summary_metrics(summary) for summary in summaries]
    first = summaries[0]
    tables = result_tables(config.data.kind, runs, first["random"], protocol, first["selected_on"])
    record = {
        "protocol": protocol,
        "selected_on": first["selected_on"],
        "guessing": first["random"],
        "runs": runs,
    }
    write_json_atomic(config.run_path / "reproduction.json", record)
    written = config.run_path / "tables.md", config.run_path / "tables.html"
    write_text_atomic(written[0], as_markdown(tables))
    write_text_atomic(written[1], as_page(f"exvad reproduce {config.data.kind}", tables))
    console.print(as_markdown(tables), markup=False, soft_wrap=True)
    console.print(f"tables: {written[0]}, {written[1]}", soft_wrap=True)
    return 0


def _imported(config: Config) -> bool:
    """Whether the features came by `exvad import-features`, so that there is nothing to see."""
    from exvad.store.fingerprint import read_fingerprint
    from exvad.store.parts import Folder

    made = read_fingerprint(Folder(config.store_path, "vision"))
    return made is not None and "imported" in made and (config.run_path / MANIFEST).exists()


def _one_seed(config: Config, seed: int, common: Sequence[str]) -> dict[str, Any]:
    folder = config.run_path / f"seed{seed}"
    folder.mkdir(exist_ok=True)
    shared = [name for name in (MANIFEST, *LABELS) if (config.run_path / name).exists()]
    for name in shared:
        shutil.copyfile(config.run_path / name, folder / name)
    done = folder / DONE
    signature = _signature(config, folder, shared)
    if not done.exists() or json.loads(done.read_text()) != signature:
        own = [*common, f"run={folder}", f"store={config.store_path}", f"train.seed={seed}"]
        run_job("train", own)
        run_job("evaluate", own)

        from exvad.data.atomic import write_json_atomic

        write_json_atomic(done, signature)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def _signature(config: Config, folder: Path, shared: Sequence[str]) -> dict[str, Any]:
    """What a seed's results depend on beside the features."""
    import hashlib

    return {
        "settings": json.loads(config.model_dump_json(by_alias=True)),
        **{name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in shared},
    }
