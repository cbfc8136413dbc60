"""`exvad demo --fresh` deletes an earlier run, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.pipeline.demo import run_demo


@pytest.mark.parametrize("names", [("thesis.tex",), ("sub/thesis.tex",), ("a", "b/c")])
def test_fresh_leaves_a_folder_alone_that_holds_no_run(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("precious")
    with pytest.raises(ValueError, match="holds no run of exvad"):
        run_demo("demo", [f"run={tmp_path}"], fresh=True)
    assert all((tmp_path / name).read_text() == "precious" for name in names)
