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


def test_a_run_that_cannot_be_written_is_refused_before_videos_are_rendered(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    videos = tmp_path / "videos"
    for place in (tmp_path / "file", tmp_path / "file/run"):
        with pytest.raises(ValueError, match=r"run: .*file is a file, not a folder"):
            run_demo("demo", [f"run={place}", f"data.root={videos}"], fresh=True)
    assert not videos.exists()
