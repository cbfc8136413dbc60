"""Prompts and label files are read before a job starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import load_config
from exvad.pipeline.preflight.files import check_label_file, check_prompt


def test_packaged_prompts_and_labels_are_right() -> None:
    config = load_config("ucf_crime")
    assert check_prompt("llm.prompt", config.llm.prompt).ok
    finding = check_label_file(config)
    assert finding.ok
    assert finding.detail.endswith(": 14 classes")


def test_prompt_that_does_not_exist_is_named_with_its_setting() -> None:
    finding = check_prompt("llm.prompt", "nosuch")
    assert not finding.ok
    assert "no prompt 'nosuch'" in finding.detail
    assert finding.detail.endswith(": set llm.prompt")


@pytest.mark.parametrize("kind", ["missing", "folder", "other"])
def test_label_file_that_can_not_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "labels.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "other":
        path.write_text("[]")
    finding = check_label_file(load_config("demo", [f"labels.file={path}"]))
    assert not finding.ok
    assert str(path) in finding.detail
