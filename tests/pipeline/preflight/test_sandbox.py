"""The preflight names what confines decoding, here and on the nodes of a cluster."""

from __future__ import annotations

import pytest

from exvad.config import Config, load_config
from exvad.pipeline.preflight.sandbox import check_sandbox, check_sandbox_of_nodes
from exvad.video.confinement.kernel import set_dumpable
from tests.helpers.ray_sessions import fake_cluster


@pytest.fixture
def incapable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine's kernel confine nothing."""
    monkeypatch.setattr("exvad.video.sandbox.CHILD", "tests.helpers.unconfined_child")


def configured(mode: str) -> Config:
    return load_config("demo", [f"stages.sandbox={mode}"])


def test_the_finding_names_the_layers_and_what_is_out_of_reach() -> None:
    finding = check_sandbox(configured("best"))
    assert finding.ok
    assert "seccomp" in finding.detail
    assert "files, network and other processes are out of reach" in finding.detail
    assert check_sandbox(configured("strict")) == finding
    assert "all the rights of the worker" in check_sandbox(configured("off")).detail


@pytest.mark.usefixtures("incapable")
def test_a_machine_that_can_confine_nothing_fails_only_if_strict() -> None:
    strict, best = check_sandbox(configured("strict")), check_sandbox(configured("best"))
    set_dumpable(True)
    assert not strict.ok
    assert "can't keep files, network" in strict.detail
    assert best.ok
    assert "a hostile video could reach files, network" in best.detail


def test_the_nodes_of_a_cluster_are_looked_at() -> None:
    with fake_cluster(2):
        finding = check_sandbox_of_nodes(configured("strict"))
    assert finding.ok
    assert finding.detail == f"{check_sandbox(configured('strict')).detail} (1 node)"
