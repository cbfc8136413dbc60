"""Training curves are drawn for every metric of the history."""

from __future__ import annotations

from exvad.report.training_curves import training_curves
from tests.helpers.report_cases import HISTORY


def test_training_curves_draw_every_numeric_metric() -> None:
    curves = training_curves([*HISTORY, {"epoch": 4, "loss": float("nan"), "val_auc": 0.7}])
    assert [curve.key for curve in curves] == ["loss", "val_auc"]
    assert curves[0].last_epoch == "3"
    assert curves[1].description.endswith("best 0.8 at epoch 3.")
    assert training_curves(HISTORY[:1]) == []
