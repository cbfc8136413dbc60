"""Loading a data set prints what was settled while reading it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import load_config
from exvad.pipeline.import_features import import_into_run
from exvad.pipeline.progress.manifest import SHOWN_NOTES, load_manifest_with_progress


def write_rows(path: Path, rows: str) -> str:
    """Write a CSV manifest; return the override that names it."""
    path.write_text(f"path,split,labels,events\nn.mp4,train,Normal,\n{rows}")
    return f"data.manifest={path}"


def test_notes_are_printed_up_to_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{n}.mp4,test,Arson,Arson:{s}-9\n" for n in range(25) for s in (1, 2))
    manifest = write_rows(tmp_path / "list.csv", rows)
    load_manifest_with_progress(load_config("demo", ["data.kind=manifest", manifest]))
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(shown) == SHOWN_NOTES + 1
    assert shown[0] == f"note: {tmp_path}/list.csv:3: 2 rows of 0 are joined to one video"
    assert shown[-1] == "note: … and 5 more"


def test_imported_features_need_a_rate_for_events_in_seconds(tmp_path: Path) -> None:
    manifest = write_rows(tmp_path / "list.csv", "a.mp4,test,Arson,Arson:1s-2s\n")
    config = load_config("demo", ["data.kind=manifest", manifest, f"run={tmp_path / 'run'}"])
    with pytest.raises(ValueError, match=r"a has events in seconds, .* the column fps"):
        import_into_run(config, tmp_path, None, None)
