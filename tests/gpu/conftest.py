"""The `gpu` lane: every test runs in full on a CUDA card, and in miniature on the CPU.

`make test-gpu` runs the full form and writes runs/gpu.json. The miniature belongs to the other
lanes: it runs the same functions, so that a machine without a card tests the lane itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.helpers.gpu.lane import FULL, MINIATURE, Lane
from tests.helpers.gpu.models import Models
from tests.helpers.gpu.record import Record

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "runs" / "gpu.json"
NO_CARD = "torch finds no CUDA card here"
JOBS = ["test_jobs.py", "test_placement.py"]
NEEDED_BY_JOBS = ("ray", "av", "mlflow", "optuna")

missing = [name for name in NEEDED_BY_JOBS if importlib.util.find_spec(name) is None]
collect_ignore = JOBS if missing else []


def pytest_report_header() -> str | None:
    """Say which modules a machine without all packages can't run."""
    return f"gpu lane: without {', '.join(missing)}: {', '.join(JOBS)} not run" if missing else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests on a card more time; warnings of drivers and kernels are no failures there."""
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.timeout(400))
            item.add_marker(pytest.mark.filterwarnings("default"))


def _on_a_card(lane: Lane) -> Lane:
    if lane.is_full and not torch.cuda.is_available():
        pytest.skip(NO_CARD)
    return lane


@pytest.fixture(
    scope="session",
    params=[pytest.param(FULL, marks=pytest.mark.gpu), MINIATURE],
    ids=lambda lane: lane.size,
)
def lane(request: pytest.FixtureRequest) -> Lane:
    """The lane, for tests whose miniature takes a second or two."""
    return _on_a_card(request.param)


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(FULL, marks=pytest.mark.gpu),
        pytest.param(MINIATURE, marks=pytest.mark.slow),
    ],
    ids=lambda lane: lane.size,
)
def job_lane(request: pytest.FixtureRequest) -> Lane:
    """The lane, for tests that start Ray."""
    return _on_a_card(request.param)


@pytest.fixture(scope="session")
def full_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """The folders of the full models."""
    models = Models(tmp_path_factory.mktemp("full"), "full", "cuda")
    yield models
    models.delete()


@pytest.fixture(scope="session")
def miniature_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """The folders of the models in miniature."""
    models = Models(tmp_path_factory.mktemp("miniature"), "miniature", "cpu")
    yield models
    models.delete()


@pytest.fixture
def models(lane: Lane, full_models: Models, miniature_models: Models) -> Models:
    """The folders of the models of the lane."""
    return full_models if lane.is_full else miniature_models


@pytest.fixture(scope="session")
def full_record() -> Iterator[Record]:
    """The figures of the card; they are written at the end, however many tests failed."""
    record = Record(RECORD, FULL)
    yield record
    record.write()


@pytest.fixture
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    """The figures of the lane of a test; those of the miniature are thrown away."""
    names = request.fixturenames
    used: Lane = request.getfixturevalue("job_lane" if "job_lane" in names else "lane")
    if used.is_full:
        full: Record = request.getfixturevalue("full_record")
        return full
    return Record(tmp_path / "gpu.json", MINIATURE)
