"""One rule of exit codes for all verbs: what can't be begun ends with 2, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.cli.exit_codes import REFUSED
from exvad.cli.main import VERBS, main

# Of the module that Ray Serve imports first.
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")

RUN = "run=run"  # which does not exist

# What each verb reads, and is not there.
MISSING = {
    "demo": ["--preset", "missing.yaml"],
    "analyze": ["missing.mp4"],
    "serve": ["--checkpoint", "missing"],
    "label": ["missing.mp4"],
    "watch": ["missing.ts"],
    "cameras": ["--address", "missing"],
    "check": ["--preset", "missing.yaml"],
    "preprocess": ["--no-check", "data.kind=folder", "data.root=missing", RUN],
    "labels": ["--no-check", RUN],
    "memory": ["show", "missing.json"],
    "train": ["--no-check", RUN],
    "evaluate": ["--no-check", RUN],
    "sweep": ["--no-check", RUN],
    "reproduce": ["missing.yaml"],
    "ablate": ["--no-check", "--plan", "missing.yaml", RUN],
    "compare": ["--no-check", RUN],
    "import-features": ["missing", RUN],
    "convert-annotations": ["missing.json", "new.csv"],
    "export": ["--checkpoint", "missing", "--to", "new"],
    "config": ["show", "--preset", "missing.yaml"],
}

# A place that a verb writes to, or reads from, below something that is no folder.
NO_PLACE = {
    "demo": ["run=file/run"],
    "analyze": ["file", "--html", "file/page.html"],
    "label": ["file", "--manifest", "file/labels.csv"],
    "memory": ["build", "--output", "file/memory.json"],
    "labels": ["--no-check", "run=file/run"],
    "train": ["--no-check", "run=file/run"],
    "evaluate": ["--no-check", "run=file/run"],
    "sweep": ["--no-check", "run=file/run"],
    "ablate": ["--no-check", "run=file/run"],
    "compare": ["--no-check", "run=file/run"],
    "import-features": [".", "run=file/run"],
    "convert-annotations": ["file", "file/new.csv"],
    "export": ["--checkpoint", "missing", "--to", "file/new"],
    "watch": ["file/stream.ts"],
    "serve": ["--settings", "settings.yaml"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file, and settings that put a folder below it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "settings.yaml").write_text("spool: file/spool\ncheckpoint: zero-shot\n")
    return tmp_path


def exit_code(arguments: list[str]) -> int:
    """Run a command; return its exit code, however it ends."""
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def check_refusal(arguments: list[str], capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Check that a command is refused in one sentence, and leaves nothing."""
    before = sorted(folder.rglob("*"))
    assert exit_code(arguments) == REFUSED, arguments
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("exvad: "), arguments
    # The problems of a data set are a list.
    assert not others or others[-1].startswith("Correct the problems"), arguments
    assert sorted(folder.rglob("*")) == before, arguments


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_option_ends_every_verb_with_2(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code([verb, "--nonsense"]) == REFUSED
    assert "usage: exvad" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_missing_input_ends_every_verb_with_2_before_anything_is_made(
    verb: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    check_refusal([verb, *MISSING[verb]], capsys, folder)


@pytest.mark.parametrize("verb", NO_PLACE)
def test_place_that_is_none_ends_a_verb_with_2_before_anything_is_made(
    verb: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    check_refusal([verb, *NO_PLACE[verb]], capsys, folder)
