"""What the results of a run depend on, and what they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.training.run_inputs import RunInputs
from tests.helpers.planted import config, plant_run


def test_damaged_texts_matter_only_where_texts_are_read(tmp_path: Path) -> None:
    settings = config(f"run={plant_run(tmp_path, 5, 0.2)}")
    without = RunInputs.read(settings).key("none")
    assert RunInputs.read(settings).key("captions") == without
    stage = Path(settings.store_path) / "language"
    stage.mkdir()
    (stage / "stage.json").write_text("{")
    inputs = RunInputs.read(settings)
    assert inputs.key("none") == without
    with pytest.raises(ValueError, match="language"):
        inputs.key("captions")
