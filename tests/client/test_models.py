"""The state of an analysis as the clients return it."""

from __future__ import annotations

import pytest

from exvad.client import Job, ServerError
from tests.helpers.fake_detector import make_analysis


def test_require_result_returns_the_result_or_raises_why_there_is_none() -> None:
    job = Job(id="1", name="a.mp4", state="done", progress=1, result=make_analysis("a.mp4"))
    assert job.ended
    assert job.require_result().video == "a.mp4"
    running = Job(id="1", name="a.mp4", state="running", progress=0.5)
    assert not running.ended
    with pytest.raises(ServerError, match=r"^a\.mp4: is still running$"):
        running.require_result()
    failed = Job(id="1", name="a.mp4", state="failed", progress=1, error="a.mp4: no video")
    with pytest.raises(ServerError, match=r"^a\.mp4: no video$"):
        failed.require_result()
