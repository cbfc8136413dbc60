"""Prompt templates: where they come from, their placeholders, and their identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.aegm.prompts import Prompt, load_prompt, with_prompt_text
from exvad.config import dump_config, load_config

PACKAGED = ("explanation", "explanation_demo", "phrases", "phrases_demo")


@pytest.mark.parametrize("name", PACKAGED)
def test_load_prompt_finds_a_packaged_template_by_name(name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.name == name
    assert prompt.text == prompt.text.strip("\n") != ""


def test_load_prompt_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Schau: {captions}\n", encoding="utf-8")
    prompt = load_prompt(str(path))
    assert prompt.fill(captions="ein Käfer") == "Schau: ein Käfer"


def test_load_prompt_lists_the_packaged_templates_for_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="no prompt 'explain'") as caught:
        load_prompt("explain")
    assert str(caught.value).endswith(f"one of {', '.join(PACKAGED)}")


def test_load_prompt_rejects_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"mine\.txt"):
        load_prompt(str(path))


@pytest.mark.parametrize("text", ["about {lable}", "about {}", "about {0}"])
def test_fill_lists_the_known_placeholders_for_an_unknown_one(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"prompt mine: unknown placeholder .* it can use \{label\}"
    ):
        Prompt("mine", text).fill(label="arson")


@pytest.mark.parametrize("text", ["about {label", "about }", "{label:d}", "{label.x}", "{label!z}"])
def test_fill_rejects_a_broken_placeholder(text: str) -> None:
    with pytest.raises(ValueError, match="prompt mine: "):
        Prompt("mine", text).fill(label="arson")


def test_fill_turns_doubled_braces_into_literal_ones() -> None:
    assert Prompt("mine", '{{"label": "{label}"}}').fill(label="{x}") == '{"label": "{x}"}'


def test_identity_depends_on_file_name_and_text_but_not_on_the_folder() -> None:
    prompt = Prompt("/here/mine.txt", "text")
    assert prompt.identity == Prompt("/there/mine.txt", "text").identity
    assert prompt.identity != Prompt("/here/mine.txt", "text.").identity
    assert prompt.identity != Prompt("/here/other.txt", "text").identity
    assert prompt.identity.startswith("mine.txt@")


def test_with_prompt_text_needs_the_file_only_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Schau:\n\n{captions}: {{ja}}\n" + "lang " * 99, encoding="utf-8")
    prompt = load_prompt(str(path))
    config = with_prompt_text(load_config("demo", [f"llm.prompt={path}"]))
    path.unlink()
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    copied = load_config(str(tmp_path / "config.yaml"))
    assert str(tmp_path) not in copied.llm.prompt
    carried = load_prompt(copied.llm.prompt)
    assert (carried.text, carried.identity) == (prompt.text, prompt.identity)
    assert with_prompt_text(copied) == copied


def test_with_prompt_text_keeps_the_name_of_a_packaged_template() -> None:
    assert with_prompt_text(load_config("demo")) == load_config("demo")
    with pytest.raises(ValueError, match="no prompt 'explain'"):
        with_prompt_text(load_config("demo", ["llm.prompt=explain"]))
