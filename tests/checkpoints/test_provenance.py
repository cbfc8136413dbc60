"""Files of a checkpoint that were changed or cut off are told from those of training."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from exvad.aegm.prompts import load_prompt
from exvad.checkpoints.provenance import (
    check_hash,
    check_settings,
    count_settings,
    without_local_paths,
)
from exvad.config import dump_config, load_config


def test_check_hash_refuses_another_content() -> None:
    check_hash("a.bin", b"content", hashlib.sha256(b"content").hexdigest())
    with pytest.raises(ValueError, match=r"a\.bin is not the file that training wrote"):
        check_hash("a.bin", b"contents", hashlib.sha256(b"content").hexdigest())


def test_check_settings_refuses_a_file_that_was_cut_off_and_no_other_value() -> None:
    text = dump_config(load_config("demo"))
    expected = count_settings(yaml.safe_load(text))
    check_settings("config.yaml", yaml.safe_load(text.replace("package:", "local-dir:")), expected)
    lines = text.splitlines(keepends=True)
    for kept in (len(lines) // 2, 1):
        cut_off = yaml.safe_load("".join(lines[:kept]))
        with pytest.raises(ValueError, match=f"has .* of {expected} settings"):
            check_settings("config.yaml", cut_off, expected)
    check_settings("config.yaml", {}, 0)


def test_without_local_paths_keeps_the_text_of_the_prompt_in_place_of_its_path(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("look: {captions}")
    config = load_config("demo", [f"llm.prompt={path}"])
    carried = without_local_paths(config).llm.prompt
    assert str(tmp_path) not in carried
    path.write_text("another one")
    assert load_prompt(carried).text == "look: {captions}"
    path.unlink()
    assert without_local_paths(config).llm.prompt == str(path)
