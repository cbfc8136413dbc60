"""The command line: help is instant, mistakes are sentences."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from exvad.cli.main import main


def test_help_answers_in_under_a_second_without_heavy_imports() -> None:
    code = (
        "import sys; from exvad.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'open_clip', 'transformers', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(len(heavy))"
    )
    begin = time.monotonic()
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0
    assert "analyze" in finished.stdout
    assert time.monotonic() - begin < 3


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_a_wrong_setting_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "modle.tau=1"]) == 2
    assert "did you mean model?" in capsys.readouterr().err


def test_overrides_may_stand_anywhere_but_must_be_overrides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "train.epochs=2", "--preset", "demo", "modle.tau=1"]) == 2
    assert "did you mean model?" in capsys.readouterr().err
    for wrong in (["demo", "a.b=1", "--nonsense", "x"], ["analyze", "v.mp4", "--html", "x", "-q"]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert "unrecognized arguments" in capsys.readouterr().err
