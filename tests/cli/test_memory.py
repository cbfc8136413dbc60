"""`exvad memory`: mistakes are refused before a model is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.cli.main import main


def test_a_memory_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    # A model that does not exist: the place is looked at first.
    settings = ["llm.model=no/such-model"]
    for place in (tmp_path, tmp_path / "file/memory.json"):
        assert main(["memory", "build", "--output", str(place), *settings]) == 2
        assert f"--output {place}: " in capsys.readouterr().err
