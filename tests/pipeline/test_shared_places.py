"""Places that are other ones on other nodes are refused: two nodes with a disk of their own."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from exvad.cli.main import main
from exvad.data.storage.marks import UnsharedPlaceError, marked
from exvad.pipeline.session import ray_output_hidden
from exvad.pipeline.shared_places import check_shared, check_videos_shared
from exvad.store.store import Store
from tests.helpers.cluster import node_with_its_own_disk
from tests.helpers.object_store import object_store
from tests.helpers.planted import plant_run
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.waiting import holds_within
from tests.helpers.world_videos import render_videos, write_listing

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of Ray itself

ADVICE = "Give a folder that all nodes share, or a bucket"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of a head without CPUs and one node that shares its disk."""
    with cluster_of_nodes(1) as cluster:
        yield str(cluster.address)


@pytest.fixture(scope="module")
def headless() -> Iterator[str]:
    """The address of a cluster of a head without CPUs, to which tests add a node."""
    with cluster_of_nodes() as cluster:
        yield str(cluster.address)


@contextmanager
def session(address: str, nodes: int = 0) -> Iterator[None]:
    """Join a cluster, and wait until it has a number of nodes."""
    with ray_output_hidden():
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    try:
        if nodes:
            assert holds_within(90, lambda: sum(node["Alive"] for node in ray.nodes()) == nodes)
        yield
    finally:
        ray.shutdown()


@contextmanager
def only_node(address: str, own: Path) -> Iterator[None]:
    """Add the only node that computes; it has a disk of its own at a folder."""
    with node_with_its_own_disk(address, own, dict(os.environ)):
        with session(address, nodes=2):
            pass
        yield
    with session(address, nodes=1):
        pass


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def run_on(address: str, *arguments: str) -> int:
    """Run a verb of exvad in this process on a cluster; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", address)
        return main(list(arguments))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the check before the work out: the nodes stand for those that are added later."""
    for module in ("preprocess", "train", "tasks", "studies.ablate", "studies.compare"):
        monkeypatch.setattr(f"exvad.pipeline.{module}.check_shared", lambda _: None)
    monkeypatch.setattr("exvad.pipeline.preprocess.check_videos_shared", lambda _: None)
    monkeypatch.setattr("exvad.tuning.sweep.check_shared", lambda _: None)


def test_shared_places_pass_and_leave_nothing_behind(address: str, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"video")
    with session(address):
        with marked({"run": f"{tmp_path}/run"}, {"store": f"{tmp_path}/store"}) as marks:
            check_shared(marks)
        check_videos_shared([f"{tmp_path}/gone.mp4", f"{tmp_path}/video.mp4"])
        check_videos_shared([f"{tmp_path}/gone.mp4"])
    assert files_below(tmp_path) == [tmp_path / "video.mp4"]


def test_place_on_a_disk_of_one_node_is_refused_within_seconds(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    with node_with_its_own_disk(address, own, dict(os.environ)), session(address, nodes=3):
        with marked({"run": f"{shared}/run"}) as marks:
            check_shared(marks)
        start = time.monotonic()
        with (
            marked({"run": f"{shared}/run", "store": f"{own}/store"}) as marks,
            pytest.raises(UnsharedPlaceError, match="is not the same place on all nodes") as error,
        ):
            check_shared(marks)
        assert time.monotonic() - start < 30
        assert f"store {own}/store" in str(error.value)
        assert str(error.value).endswith(ADVICE)
        assert files_below(tmp_path) == []
        (own / "video.mp4").write_bytes(b"video")
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UnsharedPlaceError, match=r"does not see .*/video\.mp4, which the job"):
            check_videos_shared([f"{own}/video.mp4"])


def test_processes_of_a_cluster_without_credentials_are_named_also_on_the_drivers_node(
    headless: str,
) -> None:
    with object_store() as bucket, session(headless):  # the cluster was started before
        start = time.monotonic()
        with (
            marked({"run": bucket.url("run")}) as marks,
            pytest.raises(UnsharedPlaceError, match="can't be used by the processes") as error,
        ):
            check_shared(marks)
        assert time.monotonic() - start < 40
        assert bucket.names() == []
    message = str(error.value)
    assert message.startswith(f"run {bucket.url('run')} can't be used")
    assert "AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, " in message
    assert message.endswith("set what they need where Ray starts, on every node")


def test_studies_and_evaluation_refuse_a_store_that_another_node_lacks(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    run = plant_run(tmp_path, videos=40, validation=0.3, tests=8)
    own.mkdir()
    (run / "store").rename(own / "store")
    settings = [
        f"run={run}", f"store={own}/store", "model.text=none", "labels.k=0", "train.epochs=2"
    ]  # fmt: skip
    assert main(["train", *settings]) == 0
    with node_with_its_own_disk(address, own, dict(os.environ)):
        with session(address, nodes=3):
            pass
        for verb in (["ablate"], ["evaluate", "--variants"], ["evaluate"]):
            capsys.readouterr()
            assert run_on(address, *verb, *settings) == 2, verb
            message = " ".join(capsys.readouterr().err.split())
            assert f"store {own}/store is not the same place on all nodes" in message, verb


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("own", ["runs", "videos"])
def test_preprocess_ends_in_a_sentence_on_a_node_that_joins_later(
    headless: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], own: str
) -> None:
    (tmp_path / "videos").mkdir()
    videos = render_videos(tmp_path / "videos", ("Normal", "Fighting"), seed=5_000_000)
    listing = write_listing(tmp_path / "videos.csv", videos)
    with only_node(headless, tmp_path / own):
        code = run_on(
            headless, "preprocess", "--no-check", "data.kind=manifest", f"data.manifest={listing}",
            f"run={tmp_path}/runs", "stages.decode_cpus=0.5",
        )  # fmt: skip
    message = " ".join(capsys.readouterr().err.split())
    assert code == 2, message
    seen = {
        "runs": f"store {tmp_path}/runs/store is not the same place on all nodes: "
        f"{socket.gethostname()} does not see the files of the job",
        "videos": f"the videos are not at the same place on all nodes: {socket.gethostname()} "
        f"does not see {tmp_path}/videos/v",
    }
    assert seen[own] in message
    assert message.endswith(ADVICE)
    assert "Traceback" not in message
    assert Store(tmp_path / "runs/store").failures.rows() == []


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("verb", ["train", "evaluate", "ablate", "compare", "sweep"])
def test_job_on_features_ends_in_a_sentence_on_a_node_that_joins_later(
    headless: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    run = plant_run(tmp_path, videos=40, validation=0.3, phrases=8, tests=8)
    options = {
        "compare": ["--systems", "ex_vad", "--seeds", "1"],
        "sweep": ["--trials", "1"],
    }
    with only_node(headless, run):
        code = run_on(
            headless, verb, *options.get(verb, []), f"run={run}", "model.text=none", "labels.k=0",
            "train.epochs=2", "train.max_failures=0",
        )  # fmt: skip
    message = " ".join(capsys.readouterr().err.split())
    assert code == 2, message
    assert "is not the same place on all nodes: " in message
    assert message.endswith(ADVICE)
    assert "Traceback" not in message
