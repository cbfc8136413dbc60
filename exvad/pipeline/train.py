"""Train: stored features and labels → a checkpoint, with Ray Train and MLflow.

`exvad train --preset demo` writes RUN/checkpoint. After an interruption, the same command continues
after the last finished epoch.

C classes · D feature width
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ray
import torch
from ray.exceptions import RayError
from ray.train import CheckpointConfig, ControllerError, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from exvad.checkpoints.checkpoint import Checkpoint, saved_checkpoint
from exvad.checkpoints.registry import CHECKPOINT
from exvad.checkpoints.tracking import log_training, prepare_tracking, require_tracking
from exvad.data.dataset import read_run_manifest
from exvad.data.storage.claims import claimed
from exvad.data.storage.places import resolve_place
from exvad.inference.domain import MIN_VIDEOS, fit_domain
from exvad.laam.run_labels import RunLabels
from exvad.pipeline.placement import Demand, check_placement, waiting_reported
from exvad.pipeline.progress.epoch_board import EpochBoard, epochs_shown
from exvad.pipeline.progress.names import missing_lines
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_session
from exvad.pipeline.shared_places import check_shared, computes, shared_places
from exvad.pipeline.training_state import delete_unlisted_states, state_problem
from exvad.store.store import Store
from exvad.training.balance import drowning_term
from exvad.training.fitting import FitState, best_network
from exvad.training.run_inputs import RunInputs
from exvad.training.snippet_sample import sample_snippets
from exvad.training.videos import TrainingVideos
from exvad.training.worker import check_snapshot, load_state, train_worker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import Config, TrainConfig
    from exvad.data.manifest import Manifest
    from exvad.inference.domain import Domain
    from exvad.laam.phrases import LabelPhrases


def train(config: Config) -> int:
    """Train a detector on the features and labels of a run and write RUN/checkpoint.

    Args:
        config: the configuration of the run.

    Returns:
        The exit code.

    Raises:
        ValueError: features or labels are missing, a node does not see the run or its store,
            another process trains on the run, or training stopped with an error.
    """
    require_tracking(config)
    manifest = read_run_manifest(config)
    with shared_places({"run": config.run}, {"store": config.store_path}) as marks:
        return _train(config, manifest, Store(config.store_path, marks))


def _train(config: Config, manifest: Manifest, store: Store) -> int:
    """Train on a store and write RUN/checkpoint; return the exit code."""
    # First: what a job adds from here on is another content, and the next training starts over.
    inputs = RunInputs.read(config, ("train", config.train.select_on)).key(config.model.text)
    labels = RunLabels.load(config, manifest.classes)
    videos = TrainingVideos.find(manifest, store, config)
    for line in missing_lines(videos.missing, "skipped"):
        console.print(line, highlight=False, soft_wrap=True)
    videos.check_enough(config)
    if (caution := videos.one_sided()) is not None:
        console.print(f"note: {caution}", highlight=False, soft_wrap=True)
    label_CD = labels.embeddings(config)
    with claimed(resolve_place(config.run), "exvad train"):
        prepare_tracking(config)
        _delete_stale_state(config, manifest, inputs)
        check_snapshot(states := resolve_place(config.in_run("train")))
        delete_unlisted_states(states)
        with ray_session():
            check_shared(store.marks)
            state = _fit_on_ray(config, store, videos, label_CD)
        domain = _fit_domain(store, videos)
        checkpoint = trained_checkpoint(config, state, label_CD, labels.phrases, manifest, domain)
        with saved_checkpoint(config.in_run(CHECKPOINT), checkpoint) as folder:
            run_id = log_training(config, state, folder)
    console.print(f"MLflow run {run_id} in experiment {config.mlflow.experiment}")
    _print_best(config, state)
    drowning = drowning_term(state.history[-1], config.train.lambda_)
    if drowning is not None:
        console.print(f"note: {drowning}", highlight=False, soft_wrap=True)
    return 0


def trained_checkpoint(
    config: Config,
    state: FitState,
    label_CD: NDArray[np.float32],
    phrases: LabelPhrases,
    manifest: Manifest,
    domain: Domain | None,
) -> Checkpoint:
    """Return the checkpoint of the best epoch of a training.

    Args:
        config: the configuration of the training.
        state: the state after the last epoch.
        label_CD: the label embeddings F_L.
        phrases: the classes with their phrases.
        manifest: the data set.
        domain: statistics of the features of the training videos; None for too few videos.
    """
    labels = torch.from_numpy(label_CD)
    return Checkpoint(
        best_network(config, labels, state),
        labels,
        phrases,
        config,
        state.calibration,
        {"best": state.best_metrics, "history": state.history},
        _provenance(config, manifest),
        domain=domain,
    )


def _fit_domain(store: Store, videos: TrainingVideos) -> Domain | None:
    """Compute the statistics of the training videos; say so where they are too few."""
    crop = videos.crops[0]
    ids = [video.video_id for video in videos.of_split("train")]
    lengths = {video: videos.lengths[video, crop] for video in ids}
    domain = fit_domain(sample_snippets(store, lengths, crop))
    if domain is None:
        console.print(
            f"{len(ids)} training videos are too few for statistics of their features (from "
            f"{MIN_VIDEOS} on): analyses can't say whether a video is like them",
            soft_wrap=True,
        )
    return domain


def _provenance(config: Config, manifest: Manifest) -> dict[str, Any]:
    return {
        "seed": config.train.seed,
        "data": manifest.fingerprint(),
        "selected_on": config.train.select_on,
    }


def _delete_stale_state(config: Config, manifest: Manifest, inputs: str) -> None:
    """Delete the state of an earlier training if it had other settings, data, labels or features.

    RUN/train.json holds what the state in RUN/train depends on.
    """
    provenance = {**_provenance(config, manifest), "inputs": inputs}
    # Where features are kept, and what the checkpoint says of itself, does not change it.
    settings = config.model_dump(exclude={"train": {"cache_gib", "scratch"}, "data": {"about"}})
    signature = json.dumps([settings, provenance], sort_keys=True)
    run = resolve_place(config.run)
    signature_file = run / "train.json"
    if not signature_file.exists() or signature_file.read_bytes() != signature.encode():
        (run / "train").delete_folder()
        signature_file.write_text(signature)


def _fit_on_ray(
    config: Config, store: Store, videos: TrainingVideos, label_CD: NDArray[np.float32]
) -> FitState:
    """Fit on Ray Train, from the state in RUN/train if there is one.

    Returns:
        The state after the last epoch.
    """
    gpus, cpus = 1 if config.train.gpu else 0, worker_cpus(config.train)
    settings = "train.workers, train.cpus_per_worker, train.gpu"
    workers = Demand("worker", settings, cpus, gpus, config.train.workers)
    check_placement("training", [workers])
    # On the node of this process: a spot node that is lost must not take the board with it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(EpochBoard).remote()
    filesystem, folder = resolve_place(config.run).to_arrow()
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={
            "config": config,
            "store": store,
            "videos": ray.put(videos),
            "label_CD": label_CD,
            "board": board,
            "cpus": cpus,
        },
        scaling_config=ScalingConfig(
            num_workers=config.train.workers,
            use_gpu=config.train.gpu,
            resources_per_worker=workers.amounts,
        ),
        run_config=RunConfig(
            name="train",
            storage_path=folder,
            storage_filesystem=filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            failure_config=FailureConfig(max_failures=config.train.max_failures),
        ),
    )
    with epochs_shown(board, config.train.epochs), waiting_reported("training"):
        try:
            result = trainer.fit()
        except (ControllerError, RayError) as error:
            problem = state_problem(config.in_run("train"), error)
            if problem is None:
                raise
            raise ValueError(problem) from error
    if result.error is not None:
        raise ValueError(f"training stopped: {result.error}")
    state = load_state(result.checkpoint)
    assert state is not None, "train.epochs is at least 1"
    return state


def worker_cpus(config: TrainConfig) -> int:
    """Return the number of CPU cores of a worker of Ray Train.

    Args:
        config: the number of workers, and the cores per worker if they are set.
    """
    if config.cpus_per_worker:
        return config.cpus_per_worker
    nodes = sum(node["Alive"] and computes(node) for node in ray.nodes())
    free = int(ray.available_resources().get("CPU", 0))
    return max(1, free // config.workers) if nodes == 1 else 1


def _print_best(config: Config, state: FitState) -> None:
    best, split = state.best_metrics, config.train.select_on
    caution = ", which makes the metrics optimistic" if split == "test" else ""
    console.print(
        f"best epoch {best['epoch']:.0f} of {config.train.epochs} chosen on {split}{caution}: "
        f"AUC {best['val_auc']:.3f}, mAP {best['val_map']:.3f}; "
        f"checkpoint {config.in_run(CHECKPOINT)}",
        soft_wrap=True,
    )
