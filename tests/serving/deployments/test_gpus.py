"""Replicas reserve the share of a GPU that their model needs, or the server refuses to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exvad.config import Config, load_config
from exvad.pipeline.placement import PlacementError
from exvad.serving.deployments.application import build_application
from exvad.serving.deployments.gpus import GIB, Gpus, find_gpus, share_gpus
from exvad.serving.settings import Replicas, ServerSettings
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.ray_sessions import fake_cluster

NAMES = ("decoder", "clip", "captioner", "explainer", "analyst")


def demo(*overrides: str) -> Config:
    return load_config("demo", ["device=auto", *overrides])


def shares(config: Config, gpus: Gpus, **settings: Any) -> dict[str, float]:
    """Return the GPUs per replica that are not 0."""
    shared = share_gpus(config, ServerSettings(**settings), gpus)
    found = {name: getattr(shared, name).gpus for name in NAMES}
    assert None not in found.values()
    return {name: gpus for name, gpus in found.items() if gpus}


def test_models_share_one_gpu_equally_if_its_size_is_unknown() -> None:
    assert shares(demo(), Gpus(1)) == {"clip": 0.33, "captioner": 0.33, "explainer": 0.33}


def test_each_model_has_a_gpu_if_there_are_enough_of_unknown_size() -> None:
    assert shares(demo(), Gpus(4)) == {"clip": 1, "captioner": 1, "explainer": 1}


def test_shares_follow_the_size_of_the_models() -> None:
    assert shares(demo(), Gpus(1, 24 * GIB)) == {"clip": 0.05, "captioner": 0.05, "explainer": 0.05}
    larger = shares(demo("llm.batch_tokens=2000000"), Gpus(1, 24 * GIB))
    assert larger["explainer"] > 0.1 > larger["clip"]


def test_nothing_is_reserved_without_gpus_or_for_the_cpu_or_for_an_endpoint() -> None:
    assert shares(demo(), Gpus(0)) == {}
    assert shares(demo("device=cpu"), Gpus(2, 24 * GIB)) == {}
    remote = demo("llm.backend=openai", "captioner.backend=openai")
    assert shares(remote, Gpus(1, 24 * GIB)) == {"clip": 0.05}


def test_given_shares_are_kept_and_leave_less_for_the_others() -> None:
    given = shares(demo(), Gpus(1), captioner=Replicas(gpus=0.5), clip=Replicas(gpus=0))
    assert given == {"captioner": 0.5, "explainer": 0.5}


def test_models_that_do_not_fit_are_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"do not fit the GPUs .*llm\.backend: openai"):
        shares(demo("llm.batch_tokens=9000000"), Gpus(1, 24 * GIB))


def test_a_cluster_with_gpus_is_used_and_one_that_is_too_small_is_refused(tmp_path: Path) -> None:
    checkpoint = save_untrained_checkpoint(tmp_path / "checkpoint", "device=auto")
    settings = ServerSettings(checkpoint=str(checkpoint), spool=tmp_path / "spool")
    with fake_cluster(num_cpus=2, num_gpus=1):
        assert find_gpus() == Gpus(1)
        application = build_application(settings)
        assert reserved_gpus(application) == {"Clip": 0.33, "Captioner": 0.33, "Explainer": 0.33}
        too_large = settings.model_copy(update={"captioner": Replicas(gpus=2)})
        with pytest.raises(PlacementError, match=r"1 replica with 0\.3 CPU and 2 GPU"):
            build_application(too_large)


def reserved_gpus(application: Any) -> dict[str, float]:
    """Return deployment → GPUs per replica of the models."""
    (analyst,) = application._bound_deployment.init_args
    handles = analyst._bound_deployment.init_args[1]
    return {
        name: gpus
        for name, handle in handles.items()
        if (gpus := handle._bound_deployment.ray_actor_options["num_gpus"])
    }
