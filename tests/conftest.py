"""Fixtures that all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# The tests' tensors are small: threads would only wait for each other. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray runs its workers at a low priority, where they starve beside the other test processes.
os.environ.setdefault("RAY_worker_niceness", "0")
# A shell lets its background jobs ignore Ctrl-C, and so would all processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


TRACKING_URI = "MLFLOW_TRACKING_URI"
# Files that take minutes. They start first, so that the other process is not idle at the end.
LONG_FILES = (
    "e2e/test_demo.py",
    "e2e/test_faults.py",
    "e2e/test_separate_disks.py",
    "gpu/test_jobs.py",
    "e2e/test_examples.py",
    "e2e/test_own_data.py",
    "tuning/test_sweep.py",
    "e2e/test_serving.py",
    "e2e/test_run_in_bucket.py",
    "pipeline/test_train.py",
    "e2e/test_wheel.py",
    "serving/api/test_openapi.py",
    "training/test_fitting.py",
    "e2e/test_broken_files.py",
    "pipeline/test_preprocess.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; the tests of a file keep their order."""
    folder = Path(__file__).parent
    ranks = {folder / name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(autouse=True)
def _tracking_of_the_test_alone() -> Iterator[None]:
    """Forget the tracking store that MLflow writes into the environment when code chooses one."""
    before = os.environ.get(TRACKING_URI)
    yield
    if before is None:
        os.environ.pop(TRACKING_URI, None)
    else:
        os.environ[TRACKING_URI] = before


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real annotations and clips that lie beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real annotations and clips (../shared/data) are not here")
    return folder
