"""Sweep: search k, λ, τ, windows and the like with Ray Tune and Optuna, all results in MLflow.

`python tune/sweep.py --preset demo --trials 20` reads the features and labels that the
preprocess and labels jobs left in the run's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.session import configure, console, parser, ray_session, run

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.fit import FitState
    from tune.space import Dimension

METRIC = "val_map"


def trial(
    drawn: dict[str, Any], preset: str, overrides: Sequence[str], bank: Any, manifest: Any
) -> None:
    """Train with one draw of the space; report validation figures after every epoch."""
    import torch
    from ray import tune

    from exvad.checkpoint import build_network
    from exvad.config import load_config
    from exvad.encoders.load import load_clip
    from exvad.fit import fit, training_data
    from exvad.laam import LabelPhrases, label_embeddings

    config = load_config(preset, [*overrides, *(f"{key}={value}" for key, value in drawn.items())])
    labels = LabelPhrases.read(config.labels_path)
    label_CD = torch.from_numpy(
        label_embeddings(labels, load_clip(config), config.model.label_prompt, config.labels.k)
    )
    torch.manual_seed(config.train.seed)
    network = build_network(config, bank.width, len(label_CD))

    def report(state: FitState) -> None:
        tune.report({**state.history[-1], "best_val_map": state.best["val_map"]})

    fit(network, label_CD, training_data(bank, manifest, config), config, on_epoch=report)


def search(
    config: Config, space: dict[str, Dimension], trials: int, options: Any
) -> list[dict[str, Any]]:
    """Run the search and return a record per trial: parameters, curves, figures, error."""
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    from exvad.data.dataset import saved_manifest
    from exvad.data.features import FeatureBank, missing_features
    from exvad.data.store import Store
    from tune.space import tune_space

    manifest = saved_manifest(config)
    store, text = Store(config.store_path), config.model.text
    wanted = [video.video_id for video in manifest.videos if video.split != "test"]
    missing = missing_features(store, wanted, text)
    bank = FeatureBank.build(store, [v for v in wanted if v not in missing], text)
    overrides = [f"run={config.run_path.resolve()}", *options.overrides]
    function = tune.with_parameters(
        trial, preset=options.preset, overrides=overrides, bank=bank, manifest=manifest
    )
    tuner = tune.Tuner(
        tune.with_resources(function, {"cpu": 1}),
        param_space=tune_space(space),
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            num_samples=trials,
            search_alg=OptunaSearch(seed=config.train.seed),
            scheduler=ASHAScheduler(grace_period=max(1, config.train.epochs // 4)),
        ),
        run_config=tune.RunConfig(
            name="sweep", storage_path=str(config.run_path.resolve()), verbose=1
        ),
    )
    return [
        {
            "parameters": result.config,
            "figures": result.metrics or {},
            "curve": []
            if result.metrics_dataframe is None
            else result.metrics_dataframe.to_dict("records"),
            "error": None if result.error is None else str(result.error),
        }
        for result in tuner.fit()
    ]


def log_trials(config: Config, records: Sequence[dict[str, Any]]) -> None:
    """Keep the sweep in MLflow: one parent run, one child per trial."""
    import mlflow

    from jobs.train import open_experiment

    with mlflow.start_run(experiment_id=open_experiment(config), run_name="sweep"):
        for number, record in enumerate(records):
            with mlflow.start_run(run_name=f"trial {number}", nested=True) as child:
                mlflow.log_params(record["parameters"])
                for row in record["curve"]:
                    values = {k: v for k, v in row.items() if k in ("total", "val_auc", "val_map")}
                    mlflow.log_metrics(values, step=int(row["epoch"]))
                if record["error"] is not None:
                    mlflow.set_tag("error", record["error"][:500])
                    mlflow.MlflowClient().set_terminated(child.info.run_id, "FAILED")


def main(arguments: Sequence[str]) -> int:
    """Run the sweep; return its exit code."""
    command = parser("Search the settings of training; every result goes to MLflow.")
    command.add_argument("--trials", type=int, default=20, help="how many settings to try")
    command.add_argument(
        "--space", type=Path, default=Path(__file__).with_name("space.yaml"), help="YAML file"
    )
    options = command.parse_args(arguments)
    config = configure(options)

    from tune.space import read_space

    space = read_space(options.space, options.preset)
    with ray_session():
        records = search(config, space, options.trials, options)
    log_trials(config, records)
    usable = [record for record in records if record["error"] is None]
    if not usable:
        console.print("every trial failed; the errors are in MLflow", style="red")
        return 1
    best = max(usable, key=lambda record: float(record["figures"].get("best_val_map", 0)))
    settings = " ".join(f"{key}={value}" for key, value in best["parameters"].items())
    console.print(
        f"{len(usable)} of {len(records)} trials finished; best validation mAP "
        f"{best['figures']['best_val_map']:.3f}. Train it:",
        f"  python jobs/train.py --preset {options.preset} {settings}",
        sep="\n",
        soft_wrap=True,
        highlight=False,
    )
    return 0


if __name__ == "__main__":
    run(main)
