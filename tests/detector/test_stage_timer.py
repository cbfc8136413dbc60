"""The stage timer sums the time of each stage."""

from __future__ import annotations

import time

import pytest

from exvad.detector.stage_timer import StageTimer


def fail_after_a_while(timer: StageTimer) -> None:
    with timer.measure("encoding"):
        time.sleep(0.01)
        raise ValueError("stop")


def test_measure_adds_the_time_of_blocks_even_if_they_raise() -> None:
    timer = StageTimer({"decoding": 1.0})
    with timer.measure("decoding"):
        time.sleep(0.01)
    with pytest.raises(ValueError, match="stop"):
        fail_after_a_while(timer)
    assert timer.seconds["decoding"] >= 1.01
    assert timer.seconds["encoding"] >= 0.01
