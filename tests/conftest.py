"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The tests' tensors are small: threads would only wait for each other. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real annotations and clips that lie beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real annotations and clips (../shared/data) are not here")
    return folder
