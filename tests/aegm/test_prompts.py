"""Prompts come from the package or from a file, and say which text they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.aegm.prompts import Prompt, load_prompt

PACKAGED = ("explanation", "explanation_demo", "phrases", "phrases_demo")


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_prompt_is_found_by_its_name(name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.name == name
    assert prompt.text == prompt.text.strip("\n") != ""


def test_a_prompt_is_read_from_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Schau: {captions}\n", encoding="utf-8")
    prompt = load_prompt(str(path))
    assert prompt.fill(captions="ein Käfer") == "Schau: ein Käfer"


def test_an_unknown_prompt_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="no prompt 'explain'") as caught:
        load_prompt("explain")
    assert str(caught.value).endswith(f"one of {', '.join(PACKAGED)}")


def test_a_prompt_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"mine\.txt"):
        load_prompt(str(path))


@pytest.mark.parametrize("text", ["about {lable}", "about {}", "about {0}"])
def test_an_unknown_blank_names_those_that_can_be_used(text: str) -> None:
    with pytest.raises(ValueError, match=r"prompt mine: unknown blank .* it can use \{label\}"):
        Prompt("mine", text).fill(label="arson")


@pytest.mark.parametrize("text", ["about {label", "about }", "{label:d}", "{label.x}", "{label!z}"])
def test_a_broken_blank_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="prompt mine: "):
        Prompt("mine", text).fill(label="arson")


def test_literal_braces_are_written_twice() -> None:
    assert Prompt("mine", '{{"label": "{label}"}}').fill(label="{x}") == '{"label": "{x}"}'


def test_the_identity_changes_with_the_text_and_not_with_the_folder() -> None:
    one = Prompt("/here/mine.txt", "text")
    assert one.identity == Prompt("/there/mine.txt", "text").identity
    assert one.identity != Prompt("/here/mine.txt", "text.").identity
    assert one.identity != Prompt("/here/other.txt", "text").identity
    assert one.identity.startswith("mine.txt@")
