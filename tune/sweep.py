"""Sweep: search k, λ, τ, windows and the like with Ray Tune and Optuna, all results in MLflow.

`python tune/sweep.py --preset demo --trials 20 --confirm 3` reads the features and labels that the
preprocess and labels jobs left in the run's folder. `--resume` goes on with a sweep that was
killed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.session import configure, console, parser, ray_session, run

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.features import FeatureBank
    from exvad.data.manifest import Manifest
    from tune.confirm import Confirmed
    from tune.search import Record
    from tune.space import Dimension
    from tune.trial import LabelTable

PLAN = "sweep.json"
CONFIRMED_AT_MOST = 3


def main(arguments: Sequence[str]) -> int:
    """Run the sweep; return its exit code."""
    from tune.search import METHODS, sweep_folder

    command = parser("Search the settings of training; every result goes to MLflow.")
    command.add_argument("--trials", type=int, default=20, help="how many settings to try")
    command.add_argument(
        "--space", type=Path, default=Path(__file__).with_name("space.yaml"), help="YAML file"
    )
    command.add_argument(
        "--search", choices=METHODS, default="tpe",
        help="who draws: tpe, nsga2 (AUC against mAP), random, or grid (all combinations)",
    )  # fmt: skip
    command.add_argument(
        "--confirm", type=int, default=1, metavar="SEEDS",
        help="train the three best again with so many seeds; the best mean wins",
    )  # fmt: skip
    command.add_argument("--resume", action="store_true", help="go on with the newest sweep")
    options = command.parse_args(arguments)
    if options.trials < 1 or options.confirm < 1:
        raise ValueError("--trials and --confirm need at least 1")
    config = configure(options)

    from tune.space import read_space

    folder = sweep_folder(config, options.resume)
    if options.resume:
        _same_plan(folder, options)
    space = read_space(options.space, options.preset)
    bank, manifest, labels = load_data(config, space)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_text(json.dumps(_plan(options)))
    with ray_session():
        records, confirmed, note = _search_and_confirm(
            options, config, folder, space, (bank, manifest, labels)
        )
    if not confirmed:
        console.print("every trial failed; the errors are in MLflow", style="red")
    return _keep(options, config, folder, space, records, confirmed, note, labels, manifest)


def load_data(
    config: Config, space: dict[str, Dimension]
) -> tuple[FeatureBank, Manifest, LabelTable]:
    """Read features, manifest and labels; encoders are needed here only.

    Raises:
        ValueError: preprocessing or labels are missing, or the space draws what features depend on.
    """
    from exvad.data.dataset import saved_manifest
    from exvad.data.features import FeatureBank, missing_features
    from exvad.data.store import Store
    from exvad.label_vectors import RunLabels
    from tune.trial import LabelTable

    fixed = [key for key in space if not key.startswith(("train.", "model.", "labels.k"))]
    if fixed or "model.text" in space:
        raise ValueError(
            f"{', '.join(fixed) or 'model.text'}: a sweep draws train.*, model.* and labels.k; "
            "what features are made with is the same for all trials"
        )
    manifest, store, text = saved_manifest(config), Store(config.store_path), config.model.text
    wanted = [video.video_id for video in manifest.videos if video.split != "test"]
    crop = config.data.test_crop
    missing = missing_features(store, wanted, text, crop)
    bank = FeatureBank.build(store, [v for v in wanted if v not in missing], text, crop)
    labels = RunLabels(config)
    return bank, manifest, LabelTable(labels.rows(), labels.templates(), labels.phrases)


def _search_and_confirm(
    options: Any, config: Config, folder: Path, space: dict[str, Dimension], data: tuple[Any, ...]
) -> tuple[list[Record], list[Confirmed], str]:
    import ray
    from ray import tune

    from tune.confirm import confirm
    from tune.search import Record, best_first, search
    from tune.trial import trial

    bank, manifest, labels = data
    overrides = [f"run={config.run_path.resolve()}", *options.overrides]
    shared = {"bank": bank, "manifest": manifest, "labels": labels}
    function = tune.with_parameters(trial, preset=options.preset, overrides=overrides, **shared)
    records = search(
        function, space, config, folder, options.trials, options.search, options.resume
    )
    best = best_first(records)[:CONFIRMED_AT_MOST]
    if not best:
        return records, [], ""
    console.print(f"confirming the best {len(best)} with {options.confirm} seeds")
    known = {name: ray.put(value) for name, value in shared.items()}
    default = Record({}, {})
    tried = confirm([*best, default], options.confirm, options.preset, overrides, known)
    base = next(each for each in tried if not each.parameters)
    confirmed = [each for each in tried if each.parameters]
    return records, confirmed, _comparison(confirmed[0], base)


def _comparison(winner: Confirmed, base: Confirmed) -> str:
    """Say honestly whether the winner beats the setting the sweep started from."""
    gain = winner.mean - base.mean
    noise = (winner.deviation**2 + base.deviation**2) ** 0.5
    if gain <= 0:
        verdict = "The sweep found nothing better than the preset"
    elif noise == 0:
        verdict = f"Better than the preset by {gain:.4f}, with one seed each: it may be luck"
    elif gain < 2 * noise / len(winner.scores) ** 0.5:
        verdict = f"Better than the preset by {gain:.4f}, which is within the noise of the seeds"
    else:
        verdict = f"Better than the preset by {gain:.4f}, more than the noise of the seeds"
    return f"{verdict} ({base.mean:.4f} ± {base.deviation:.4f} on the same validation videos)."


def _keep(
    options: Any,
    config: Config,
    folder: Path,
    space: dict[str, Dimension],
    records: list[Record],
    confirmed: list[Confirmed],
    note: str,
    labels: LabelTable,
    manifest: Manifest,
) -> int:
    import shutil

    from exvad.checkpoint import git_commit
    from exvad.data.atomic import write_text_atomic
    from tune.importance import importances
    from tune.ledger import log_sweep, register
    from tune.page import render

    lineage = {
        "data": manifest.fingerprint(),
        "commit": git_commit(),
        "preset": options.preset,
        "search": options.search,
        "space": options.space.read_text("utf-8"),
    }
    files, commands = [], []
    if confirmed:
        winner = confirmed[0]
        checkpoint = folder / "checkpoint"
        _save(winner, labels, manifest, checkpoint)
        settings = " ".join(f"{key}={value}" for key, value in winner.parameters.items())
        commands = [
            f"python jobs/train.py --preset {options.preset} {settings}",
            f"EXVAD_CHECKPOINT={checkpoint} serve run serve.app:app",
        ]
        files.append(checkpoint)
    page = folder / "sweep.html"
    found = importances(records, space)
    write_text_atomic(page, render(records, confirmed, space, commands, found, note))
    shutil.copyfile(options.space, folder / "space.yaml")
    files += [page, folder / "space.yaml"]
    run_id = log_sweep(config, records, confirmed, lineage, files)
    failed = sum(record.error is not None for record in records)
    pruned = sum(record.pruned for record in records)
    console.print(
        f"{len(records)} trials: {pruned} stopped early, {failed} failed; MLflow run {run_id}"
    )
    if not confirmed:
        return 1
    version = register(config, run_id, lineage)
    console.print(
        f"winner: {confirmed[0].mean:.4f} ± {confirmed[0].deviation:.4f}; {note}",
        f"registered as models:/{config.mlflow.model}@champion, version {version}",
        *(f"  {line}" for line in commands),
        f"page: {page.resolve().as_uri()}",
        sep="\n",
        soft_wrap=True,
        highlight=False,
    )
    return 0


def _save(winner: Confirmed, labels: LabelTable, manifest: Manifest, folder: Path) -> None:
    import torch

    from exvad.checkpoint import build_network, save_checkpoint

    label_CD = labels.embeddings(winner.config)
    network = build_network(winner.config, label_CD.shape[1], len(label_CD))
    network.load_state_dict(winner.state.best_weights)
    save_checkpoint(
        folder,
        network,
        torch.from_numpy(label_CD),
        labels.phrases,
        winner.config,
        winner.state.calibration,
        {"best": winner.state.best, "history": winner.state.history},
        {
            "seed": winner.config.train.seed,
            "data": manifest.fingerprint(),
            "selected_on": winner.config.train.select_on,
        },
    )


def _plan(options: Any) -> dict[str, Any]:
    return {
        "preset": options.preset,
        "overrides": list(options.overrides),
        "trials": options.trials,
        "search": options.search,
        "space": options.space.read_text("utf-8"),
    }


def _same_plan(folder: Path, options: Any) -> None:
    """Refuse to go on with a sweep that was another one.

    Raises:
        ValueError: names what differs.
    """
    path = folder / PLAN
    if not path.exists():
        raise ValueError(f"{folder} holds no sweep that can go on: start a new one")
    before, now = json.loads(path.read_text()), _plan(options)
    differ = [name for name in now if before.get(name) != now[name]]
    if differ:
        raise ValueError(
            f"{folder} was started with another {', '.join(differ)}: give the same to --resume"
        )


if __name__ == "__main__":
    run(main)
