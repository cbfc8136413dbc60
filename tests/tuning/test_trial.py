"""The processes of trials."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import ray
import torch

from exvad.config import load_config
from exvad.tuning.trial import import_ahead, use_reserved_cores
from tests.helpers.ray_sessions import fake_cluster


def test_import_ahead_starts_a_process_in_which_a_trial_finds_its_packages() -> None:
    def has_packages() -> bool:  # pickled by value: it imports nothing itself
        return "exvad.tuning.trial" in sys.modules

    task = ray.remote(num_cpus=1)(has_packages)
    with fake_cluster(num_cpus=1):
        assert not ray.get(task.remote())
        import_ahead(load_config("demo", ["tune.cpus=1"]), trials=4)
        assert ray.get(task.remote())


@pytest.fixture
def _same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_same_threads")
@pytest.mark.parametrize(("cpus", "threads"), [(0.5, 1), (1, 1), (3, 3)])
def test_trial_computes_with_the_cores_that_it_reserves(cpus: float, threads: int) -> None:
    use_reserved_cores(load_config("demo", [f"tune.cpus={cpus}"]))
    assert torch.get_num_threads() == threads
