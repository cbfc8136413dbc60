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

from exvad.config import load_config
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.session import console, ray_session
from exvad.store.run_data import RunData
from exvad.tuning.search import Method, sweep_folder
from exvad.tuning.space import read_space
from exvad.tuning.trial import drawn_overrides

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.tuning.confirm import Confirmed
    from exvad.tuning.search import Record
    from exvad.tuning.space import Dimension


@dataclass(frozen=True)
class SweepOptions:
    """What a sweep is called with.

    Args:
        preset: a packaged preset's name or a YAML file.
        overrides: `section.field=value` items.
        trials: how many settings to try.
        space: YAML file of the search space.
        search: the sampler.
        confirm: seeds that the three best settings are trained with again.
        no_early_stop: train every trial to its end.
        resume: continue the newest sweep.
        command: the arguments as typed, to print how to continue.
    """

    preset: str
    overrides: Sequence[str]
    trials: int
    space: Path
    search: Method
    confirm: int = 1
    no_early_stop: bool = False
    resume: bool = False
    command: Sequence[str] = ()


PLAN = "sweep.json"
CONFIRMED_AT_MOST = 3
INTERRUPTED = 130


def sweep(options: SweepOptions) -> int:
    """Search the settings of training, confirm the best, and register the winner.

    Returns:
        The exit code: 0, 1 if no trial succeeded, 130 if it was interrupted.

    Raises:
        ValueError: the options or the configuration are wrong, or features or labels are missing.
    """
    if options.trials < 1 or options.confirm < 1:
        raise ValueError("--trials and --confirm need at least 1")
    config = load_config(options.preset, options.overrides)
    folder = sweep_folder(config, options.resume)
    if options.resume:
        _same_plan(folder, options)
    space = read_space(options.space, options.preset)
    data, labels = load_data(config, space)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_text(json.dumps(_plan(options)))
    with ray_session():
        found = _search_and_confirm(options, config, folder, space, (data, labels))
    code = _keep(options, config, folder, space, found, labels, data.manifest)
    if found.interrupted:
        same = [argument for argument in options.command if argument != "--resume"]
        again = shlex.join(["exvad", "sweep", "--resume", *same])
        console.print(f"stopped; go on with: {again}", soft_wrap=True, highlight=False)
        return INTERRUPTED
    return code


def load_data(config: Config, space: dict[str, Dimension]) -> tuple[RunData, RunLabels]:
    """Read features, manifest and labels; encoders are needed here only.

    Raises:
        ValueError: preprocessing or labels are missing, or the space draws what features depend on.
    """
    from exvad.tuning.space import corners

    fixed = [key for key in space if not key.startswith(("train.", "model.", "labels.k"))]
    if fixed or "model.text" in space:
        raise ValueError(
            f"{', '.join(fixed) or 'model.text'}: a sweep draws train.*, model.* and labels.k; "
            "what features are made with is the same for all trials"
        )
    data, labels = RunData.load(config, ("train", "val")), RunLabels.load(config)
    fewest = labels.vectors.fewest_phrases
    if "labels.k" in space and max(map(int, corners(space["labels.k"]))) > fewest:
        raise ValueError(
            f"labels.k is drawn up to {max(corners(space['labels.k']))}, but a class has only "
            f"{fewest} phrases: lower it in the space, or raise labels.phrases and write them anew"
        )
    return data, labels


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
    options: SweepOptions,
    config: Config,
    folder: Path,
    space: dict[str, Dimension],
    data: tuple[Any, ...],
) -> Found:
    import ray
    from ray import tune

    from exvad.tuning.confirm import confirm
    from exvad.tuning.search import Record, SearchPlan, best_first, search
    from exvad.tuning.trial import trial

    run, labels = data
    overrides = [f"run={config.run_path.resolve()}", *options.overrides]
    shared = {"bank": run.bank, "manifest": run.manifest, "labels": labels}
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
    options: SweepOptions,
    config: Config,
    folder: Path,
    space: dict[str, Dimension],
    found: Found,
    labels: RunLabels,
    manifest: Manifest,
) -> int:
    import shutil

    from exvad.checkpoints.checkpoint import git_commit
    from exvad.data.atomic import write_text_atomic
    from exvad.tuning.importance import importances
    from exvad.tuning.ledger import log_sweep, register
    from exvad.tuning.page import render

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


def _save(winner: Confirmed, labels: RunLabels, manifest: Manifest, folder: Path) -> None:
    import torch

    from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
    from exvad.inference.network import build_network

    label_CD = labels.embeddings(winner.config)
    network = build_network(winner.config, label_CD.shape[1], len(label_CD))
    network.load_state_dict(winner.state.best_weights)
    trained = Checkpoint(
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
    save_checkpoint(folder, trained)


def _plan(options: SweepOptions) -> dict[str, Any]:
    return {
        "preset": options.preset,
        "overrides": list(options.overrides),
        "trials": options.trials,
        "search": options.search,
        "space": options.space.read_text("utf-8"),
    }


def _same_plan(folder: Path, options: SweepOptions) -> None:
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
