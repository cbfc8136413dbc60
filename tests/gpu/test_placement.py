"""Which processes of Ray use the card, and what is refused before it waits for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import ray
import torch

from exvad.config import Resources
from exvad.encoders.devices import resolve_device
from exvad.pipeline.placement import PlacementError, actors_demand, check_placement
from exvad.pipeline.session import ray_session
from tests.helpers.gpu.lane import Lane
from tests.helpers.ray_sessions import fake_cluster

WAIT_SECONDS = 250


class Actor:
    """An actor that uses the device that it may use.

    Args:
        pretends: whether to claim that there is a card, where there is none.
    """

    def __init__(self, pretends: bool) -> None:
        if pretends:
            torch.cuda.is_available = lambda: True
        self.pretends = pretends

    def device(self) -> str:
        """Return the device of the actor, after computing on it."""
        device = resolve_device("auto")
        if not self.pretends:
            assert float(torch.ones(8, device=device).sum()) == 8
        return device.type

    def cards(self) -> tuple[list[str], str]:
        """Return the cards that Ray gave to the actor, and those that it sees."""
        return [str(card) for card in ray.get_gpu_ids()], os.environ.get("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="module")
def cluster(job_lane: Lane) -> Iterator[Lane]:
    """A session with the cards of this machine; in miniature with one that does not exist."""
    with ray_session() if job_lane.is_full else fake_cluster(num_cpus=2, num_gpus=1):
        yield job_lane


def start(lane: Lane, gpus: float) -> ray.actor.ActorHandle:
    """Start an actor that reserves a share of a card."""
    actor = ray.remote(Actor).options(num_cpus=0.25, num_gpus=gpus)
    return actor.remote(not lane.is_full)


def test_actors_use_the_card_only_where_they_reserve_it(cluster: Lane) -> None:
    actors = [start(cluster, gpus) for gpus in (0, 0.5, 0.5)]
    devices = ray.get([actor.device.remote() for actor in actors], timeout=WAIT_SECONDS)
    assert devices == ["cpu", "cuda", "cuda"]
    _, (first, first_seen), (second, second_seen) = ray.get(
        [actor.cards.remote() for actor in actors], timeout=WAIT_SECONDS
    )
    assert [first_seen, second_seen] == [*first, *second], "each sees what it reserved"
    if ray.cluster_resources()["GPU"] == 1:
        assert first == second, "half a card each"
    for actor in actors:
        ray.kill(actor)


def test_more_cards_than_there_are_is_refused_at_once(cluster: Lane) -> None:
    cards = int(ray.cluster_resources()["GPU"])
    check_placement("encoding", [actors_demand("stages.vision", Resources(gpus=cards))])
    with pytest.raises(PlacementError, match=r"encoding can't start"):
        check_placement("encoding", [actors_demand("stages.vision", Resources(gpus=cards + 1))])
