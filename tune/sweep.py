"""Sweep: search k, λ, τ, windows and the like with Ray Tune and Optuna, all results in MLflow.

`python tune/sweep.py --preset demo --trials 20 --confirm 3` reads the features and labels that the
preprocess and labels jobs left in the run's folder. `--resume` goes on with a sweep that was
killed.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.session import configure, console, parser, ray_session, run
from tune.trial import drawn_overrides

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
INTERRUPTED = 130


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
    command.add_argument(
        "--no-early-stop", action="store_true", help="train every trial to its end"
    )
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
        found = _search_and_confirm(options, config, folder, space, (bank, manifest, labels))
    code = _keep(options, config, folder, space, found, labels, manifest)
    if found.interrupted:
        same = [argument for argument in arguments if argument != "--resume"]
        again = shlex.join(["python", "tune/sweep.py", "--resume", *same])
        console.print(f"stopped; go on with: {again}", soft_wrap=True, highlight=False)
        return INTERRUPTED
    return code


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
    from tune.space import corners
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
    fewest = min(len(own) for own in labels.phrases.phrases.values())
    if "labels.k" in space and max(map(int, corners(space["labels.k"]))) > fewest:
        raise ValueError(
            f"labels.k is drawn up to {max(corners(space['labels.k']))}, but a class has only "
            f"{fewest} phrases: lower it in the space, or raise labels.phrases and write them anew"
        )
    return bank, manifest, LabelTable(labels.rows(), labels.templates(), labels.phrases)


@dataclass(frozen=True)
class Found:
    """What a sweep found.

    Args:
        records: its trials.
        confirmed: the settings that were trained again, the best first.
        note: how the best compares with the preset, or how far the sweep came.
        interrupted: it was stopped before its end.
    """

    records: list[Record]
    confirmed: list[Confirmed]
    note: str
    interrupted: bool


def _search_and_confirm(
    options: Any, config: Config, folder: Path, space: dict[str, Dimension], data: tuple[Any, ...]
) -> Found:
    import ray
    from ray import tune

    from tune.confirm import confirm
    from tune.search import Record, SearchPlan, best_first, search
    from tune.trial import trial

    bank, manifest, labels = data
    overrides = [f"run={config.run_path.resolve()}", *options.overrides]
    shared = {"bank": bank, "manifest": manifest, "labels": labels}
    function = tune.with_parameters(trial, preset=options.preset, overrides=overrides, **shared)
    plan = SearchPlan(options.trials, options.search, not options.no_early_stop)
    searched = search(function, space, config, folder, plan, options.resume)
    records, best = searched.records, best_first(searched.records)
    if searched.interrupted:
        ended = sum(not record.unfinished for record in records)
        return Found(records, [], _so_far(best, f"{ended} of {searched.planned} trials"), True)
    if not best:
        return Found(records, [], "Every trial failed.", False)
    best = best[:CONFIRMED_AT_MOST]
    console.print(f"confirming the best {len(best)} with {options.confirm} seeds")
    known = {name: ray.put(value) for name, value in shared.items()}
    default = Record({}, {})
    try:
        tried = confirm([*best, default], options.confirm, options.preset, overrides, known)
    except KeyboardInterrupt:
        return Found(records, [], _so_far(best, "all trials, before confirmation"), True)
    base = next(each for each in tried if not each.parameters)
    confirmed = [each for each in tried if each.parameters]
    return Found(records, confirmed, _comparison(confirmed[0], base), False)


def _so_far(best: Sequence[Record], after: str) -> str:
    """Say what is known of a sweep that was stopped."""
    said = f"Stopped after {after}"
    if not best:
        return f"{said}; none has ended well."
    settings = " ".join(drawn_overrides(best[0].parameters))
    return f"{said}; the best so far reached {best[0].score:.4f} with {settings}."


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
    found: Found,
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
    records, confirmed = found.records, found.confirmed
    if confirmed:
        winner = confirmed[0]
        checkpoint = folder / "checkpoint"
        _save(winner, labels, manifest, checkpoint)
        settings = " ".join([*options.overrides, *drawn_overrides(winner.parameters)])
        commands = [
            f"python jobs/train.py --preset {options.preset} {settings}",
            f"EXVAD_CHECKPOINT={checkpoint} serve run serve.app:app",
        ]
        files.append(checkpoint)
    page = folder / "sweep.html"
    shares = importances(records, space)
    write_text_atomic(page, render(records, confirmed, space, commands, shares, found.note))
    shutil.copyfile(options.space, folder / "space.yaml")
    files += [page, folder / "space.yaml"]
    run_id = log_sweep(config, records, confirmed, lineage, files, found.interrupted)
    failed = sum(record.error is not None for record in records)
    pruned = sum(record.pruned for record in records)
    console.print(
        f"{len(records)} trials: {pruned} stopped early, {failed} failed; MLflow run {run_id}"
    )
    shown = [found.note]
    if confirmed:
        version = register(config, run_id, lineage)
        shown = [
            f"winner: {confirmed[0].mean:.4f} ± {confirmed[0].deviation:.4f}; {found.note}",
            f"registered as models:/{config.mlflow.model}@champion, version {version}",
            *(f"  {line}" for line in commands),
        ]
    shown.append(f"page: {page.resolve().as_uri()}")
    console.print(*shown, sep="\n", soft_wrap=True, highlight=False, markup=False)
    return 0 if confirmed else 1


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
