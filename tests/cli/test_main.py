"""The command line: help is instant, mistakes are one sentence, completion covers all verbs."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from exvad.cli.main import VERBS, main
from exvad.config import load_config
from exvad.pipeline.termination import ReportedInterruptError
from tests.helpers.processes import exvad_command, free_port

HEAVY = {"torch", "ray", "open_clip", "transformers", "mlflow"}
ALL_HELPS = f"""
import contextlib, io, json, sys, time
from exvad.cli.main import VERBS, build_parser

seconds, helps = {{}}, {{}}
for words in [[], *([verb] for verb in VERBS), ["config", "show"], ["memory", "build"]]:
    start = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):
        build_parser().parse_args([*words, "--help"])
    helps[" ".join(words)] = output.getvalue()
    seconds[" ".join(words)] = time.monotonic() - start
json.dump([helps, seconds, sorted({HEAVY} & set(sys.modules))], sys.stdout)
"""
SETTING_VERBS = set(VERBS) - {
    "analyze",
    "serve",
    "label",
    "cameras",
    "watch",
    "export",
    "config",
    "memory",
    "convert-annotations",
}


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help of every verb, printed by one process that must not load heavy packages."""
    finished = subprocess.run(
        [sys.executable, "-c", ALL_HELPS], capture_output=True, text=True, check=True, timeout=60
    )
    texts, seconds, heavy = json.loads(finished.stdout)
    assert heavy == []
    assert all(second < 1 for second in seconds.values()), seconds
    return dict(texts)


def test_every_verb_has_a_help_without_heavy_imports(helps: dict[str, str]) -> None:
    assert set(helps) == {"", *VERBS, "config show", "memory build"}
    for verb, text in helps.items():
        assert text.startswith(f"usage: exvad {verb}".rstrip()), text
        assert len(text.splitlines()) > 5
    assert all(verb in helps[""] for verb in VERBS)
    for verb in SETTING_VERBS:
        assert "section.field=value" in helps[verb]


def test_every_option_with_a_value_shows_its_default(helps: dict[str, str]) -> None:
    optional = {"--text", "--labels", "--html", "--print-completion"}
    for verb, text in helps.items():
        options = re.findall(r"^  (--[\w-]+) [A-Z{].*?(?=^  -|\Z)", text, re.M | re.S)
        entries = re.split(r"^  (?=-)", text, flags=re.M)[1:]
        for option in set(options) - optional:
            (entry,) = (entry for entry in entries if entry.startswith(f"{option} "))
            assert re.search(r"\[[^\]]+\]\s*$", entry), f"exvad {verb}: {entry}"


def test_without_a_verb_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_config_show_prints_the_configuration_that_preset_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "show", "model.tau=0.5", "--preset", "ucf_crime", "data.crops=5"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    expected = load_config("ucf_crime", ["model.tau=0.5", "data.crops=5"])
    assert shown == expected.model_dump(by_alias=True)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_script_knows_all_verbs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    for verb in VERBS:
        assert verb in script
    assert "--no-early-stop" in script


def test_bash_completes_verbs_actions_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    for words, expected in (
        (["exvad", "import"], "import-features"),
        (["exvad", "config", "sh"], "show"),
        (["exvad", "train", "--select"], "--select-on"),
        (["exvad", "train", "--select-on", "v"], "val"),
    ):
        line = (
            f"{script}\nCOMP_WORDS=({' '.join(words)})\nCOMP_CWORD={len(words) - 1}\n"
            '_shtab_exvad\necho "${COMPREPLY[@]}"'
        )
        finished = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        assert finished.stdout.split() == [expected], words


def test_wrong_setting_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verb in sorted(SETTING_VERBS - {"reproduce", "import-features"}):
        assert main([verb, "modle.tau=1"]) == 2
        assert "did you mean model?" in capsys.readouterr().err
    assert main(["reproduce", "demo", "modle.tau=1"]) == 2
    assert main(["import-features", "folder", "modle.tau=1"]) == 2
    assert main(["config", "show", "modle.tau=1"]) == 2
    assert main(["memory", "build", "modle.tau=1"]) == 2
    assert capsys.readouterr().err.count("did you mean model?") == 4


def test_wrong_setting_is_not_blamed_on_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "my.yaml"
    preset.write_text("train: {epochs: 4}\n")
    for arguments in ([], ["--preset", "ucf_crime"], ["--preset", str(preset)]):
        assert main(["config", "show", "train.epoch=3", *arguments]) == 2
        message = capsys.readouterr().err
        assert message == "exvad: train.epoch: no such key (did you mean epochs?)\n"


def test_overrides_may_stand_anywhere_but_must_be_overrides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "train.epochs=2", "--preset", "demo", "modle.tau=1"]) == 2
    assert "did you mean model?" in capsys.readouterr().err
    for wrong in (["demo", "a.b=1", "--nonsense", "x"], ["analyze", "v.mp4", "--html", "x", "-q"]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert "unrecognized arguments" in capsys.readouterr().err


def test_a_misspelled_verb_is_refused_with_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(["preproces", "--preset", "demo"])
    assert refusal.value.code == 2
    assert "no verb 'preproces'; did you mean preprocess?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["xyz"])
    assert "no verb 'xyz'; the verbs are demo, analyze" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "interruption", "message"),
    [
        ("watch", KeyboardInterrupt(), "exvad: stopped\n"),
        ("train", KeyboardInterrupt(), "exvad: stopped; run the same command again to continue\n"),
        ("demo", ReportedInterruptError(), ""),
    ],
)
def test_a_stopped_verb_says_once_what_running_it_again_does(
    verb: str,
    interruption: KeyboardInterrupt,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(_: argparse.Namespace) -> int:
        raise interruption

    monkeypatch.setattr(VERBS[verb], "run", stopped)
    assert main([verb, *(["camera"] if verb == "watch" else [])]) == 130
    assert capsys.readouterr().err == message


def test_an_error_of_a_verb_is_one_line_without_a_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["train", f"run={tmp_path}"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("exvad: ")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


@pytest.mark.parametrize("verb", ["train", "sweep", "compare"])
def test_an_mlflow_that_does_not_answer_is_refused_before_anything_is_loaded(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    uri = f"mlflow.uri=http://127.0.0.1:{free_port()}"
    assert main([verb, "--no-check", f"run={tmp_path}", uri]) == 2
    message = capsys.readouterr().err
    assert message.startswith("exvad: the MLflow server http://127.0.0.1:")
    assert "Connection refused" in message
    assert list(tmp_path.iterdir()) == []


def test_module_runs_as_the_command() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "exvad.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"exvad \d+\.\d+\.\d+\n", finished.stdout)


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (["sweep", "--trials", "0"], "'0' is no whole number from 1 to 100000"),
        (["sweep", "--confirm", "1.5"], "'1.5' is no whole number"),
        (["ablate", "--seeds", "1" + "0" * 5000], "…' is no whole number from 1 to 1000"),
        (["compare", "--snippets", "-1"], "'-1' is no whole number from 1 to 1000000"),
        (["reproduce", "demo", "--seeds", "x"], "'x' is no whole number"),
        (["memory", "build", "--scenes", "0"], "'0' is no whole number"),
    ],
)
def test_numbers_that_can_not_be_meant_are_refused_at_once(
    options: list[str], refused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert refused in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_a_sentence_and_code_130(
    number: signal.Signals, tmp_path: Path
) -> None:
    pipe = tmp_path / "memory.json"
    os.mkfifo(pipe)
    command = exvad_command("memory", "show", pipe)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        writer = os.open(pipe, os.O_WRONLY)  # waits until the command reads
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
        os.close(writer)
    assert process.returncode == 130
    assert messages == "exvad: stopped; run the same command again to continue\n"
