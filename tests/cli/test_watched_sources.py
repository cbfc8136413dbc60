"""The sources of `exvad watch`: how they are named, and which are refused before the work."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from exvad.cli.main import main
from exvad.cli.watched_sources import ANY_NETWORK, find_sources, parse_stream_options
from exvad.serving.settings import ServerSettings

SETTINGS = ServerSettings.model_validate({"url_networks": ANY_NETWORK})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("door.ts", "a=b.ts"):
        (tmp_path / name).touch()
    return tmp_path


def test_sources_have_the_name_they_were_given_or_that_of_their_place(folder: Path) -> None:
    camera = "rtsp://viewer:a#b@127.0.0.1:8554/yard?token=x"
    found = find_sources([camera, f"gate={camera}", "front door=door.ts", "a=b.ts"], SETTINGS)
    assert list(found) == ["127.0.0.1 yard", "gate", "front door", "a=b.ts"]
    assert found["gate"].url == "rtsp://viewer:a%23b@127.0.0.1:8554/yard?token=x"
    assert found["front door"].path == str(folder / "door.ts")
    assert found["a=b.ts"].path == str(folder / "a=b.ts")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["missing.ts"], "missing.ts: there is no such file; a camera begins with rtsp://"),
        (["gate=missing.ts"], "exvad: gate=missing.ts: there is no such file"),
        (["door.ts", "clip.model=x"], "clip.model=x: there is no such file; a camera begins"),
        ([""], "SOURCE: there is no such file"),
        (["."], ".: is no regular file"),
        (["/dev/zero"], "/dev/zero: is no regular file"),
        (["ftp://127.0.0.1/a.ts"], "only rtsp://, rtsps://, http:// and https:// streams"),
        (["http://user:secret@127.0.0.1:99999/a.ts"], "there is no port 99999"),
        (["user:secret@127.0.0.1/a"], "exvad: …@127.0.0.1/a: there is no such file; a camera"),
        (["rtsp:/user:secret@127.0.0.1/a"], "a camera begins with rtsp://"),
        (["http://user:secret/1@127.0.0.1:x/a.ts"], "http://127.0.0.1:x/a.ts: the URL is invalid"),
        ([f"gate=rtsp://user:secret@127.0.0.1/{'a' * 5000}"], "at most 2000 characters"),
        (["a" * 300], "a: there is no such file"),
        (["door.ts", "./door.ts", "door.ts"], "two sources have the name 'door.ts'"),
        (["door.ts", "--on", "0.5", "--off", "0.6"], "--off: off is larger than on"),
        (["door.ts", "--on", "1.5"], "--on: Input should be less than or equal to 1"),
        (["door.ts", "--least-seconds", "-1"], "--least-seconds: Input should be greater"),
        (["door.ts", "--idle-seconds", "0"], "--idle-seconds: Input should be greater than 0"),
        (["door.ts", "--checkpoint", "x", "--normal", "a yard"], "give either"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_one_sentence(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("exvad: ")
    assert reason in captured.err
    assert "secret" not in captured.err
    assert len(captured.err.splitlines()) == 1


def test_options_of_the_command_are_those_of_a_stream() -> None:
    values = {"on": 0.8, "off": None, "least_seconds": 2.0, "cool_down_seconds": 3.0}
    arguments = argparse.Namespace(**values, explain=False, idle_seconds=4.0)
    options, settings = parse_stream_options(arguments)
    assert options.model_dump(include=set(values)) == values
    assert not options.explain
    assert settings.stream_idle_seconds == 4
