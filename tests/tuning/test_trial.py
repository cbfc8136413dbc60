"""The processes of trials."""

from __future__ import annotations

import sys

import ray

from exvad.config import load_config
from exvad.tuning.trial import import_ahead
from tests.helpers.ray_sessions import fake_cluster


def test_import_ahead_starts_a_process_in_which_a_trial_finds_its_packages() -> None:
    def has_packages() -> bool:  # pickled by value: it imports nothing itself
        return "exvad.tuning.trial" in sys.modules

    task = ray.remote(num_cpus=1)(has_packages)
    with fake_cluster(num_cpus=1):
        assert not ray.get(task.remote())
        import_ahead(load_config("demo", ["tune.cpus=1"]), trials=4)
        assert ray.get(task.remote())
