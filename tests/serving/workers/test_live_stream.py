"""The rule of alerts that the options of a stream ask for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from exvad.inference.calibration import Calibration
from exvad.serving.schemas.streams import StreamOptions
from exvad.serving.workers.live_stream import alert_rule


@pytest.mark.parametrize(
    ("options", "on", "off"),
    [
        (StreamOptions(), 0.6, 0.42),
        (StreamOptions(on=0.9), 0.9, 0.63),
        (StreamOptions(on=0.9, off=0.2), 0.9, 0.2),
        (StreamOptions(off=0.8), 0.6, 0.6),
    ],
)
def test_alert_rule_fills_in_what_the_options_leave_open(
    options: StreamOptions, on: float, off: float
) -> None:
    calibration = Calibration(branch="classifier", threshold=0.6)
    checkpoint: Any = SimpleNamespace(calibration=calibration)
    rule = alert_rule(options, checkpoint)
    assert (rule.on, rule.off) == pytest.approx((on, off))
