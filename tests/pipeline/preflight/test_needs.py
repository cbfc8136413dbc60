"""What each job needs."""

from __future__ import annotations

from pathlib import Path

from exvad.config import load_config
from exvad.pipeline.preflight.needs import job_needs, preprocessing_stages


def test_stages_hold_the_models_of_their_backend() -> None:
    held = [stage.models for stage in preprocessing_stages(load_config("ucf_crime"))]
    assert held == [("clip", "captioner"), ("clip", "llm")]
    remote = load_config("ucf_crime", ["captioner.backend=openai", "llm.backend=openai"])
    assert [stage.models for stage in preprocessing_stages(remote)] == [("clip",), ("clip",)]
    engines = ["captioner.backend=vllm", "llm.backend=vllm", "llm.engine.tensor_parallel=2"]
    stages = preprocessing_stages(load_config("ucf_crime", engines))
    assert [stage.models for stage in stages if stage.is_engine] == [("captioner",), ("llm",)]
    assert stages[-1].shards == 2


def test_driver_loads_models_only_where_a_job_does(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    assert job_needs(config, "preprocess").driver_models == ()
    labels = job_needs(config, "labels")
    assert (labels.driver_models, labels.worker_models) == ((), ("llm",))
    assert job_needs(config, "train").driver_models == ("clip",)
    (tmp_path / "labels.npz").touch()
    assert job_needs(config, "train").driver_models == ()
    assert job_needs(config, "labels").driver_models == ()


def test_training_needs_a_gpu_per_worker_and_a_trial_its_share() -> None:
    config = load_config("ucf_crime", ["train.workers=4", "tune.gpus=0.5"])
    (training,) = job_needs(config, "train").stages
    assert training.gpus * training.shards == 4
    (trial,) = job_needs(config, "sweep").stages
    assert trial.gpus * trial.shards == 0.5
