"""The draft of a memory on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.zero_shot.draft import MemoryDraft


def test_a_draft_is_read_as_it_was_written_and_empty_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    assert MemoryDraft.read(path) == MemoryDraft()
    draft = MemoryDraft(incidents={"Fire": ["flames"], "Fall": []}, origins=["a test"])
    draft.write(path)
    assert MemoryDraft.read(path) == draft


@pytest.mark.parametrize("content", ["", "[]", '{"normal": {"yard": [""]}}', '{"scenes": []}'])
def test_a_file_that_is_no_draft_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "draft.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"draft\.json is no draft of a memory: delete it"):
        MemoryDraft.read(path)


def test_a_draft_that_was_edited_keeps_each_scene_once(tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    edited = MemoryDraft(incidents={}, normal={})
    edited.incidents["Fire"] = ["flames", " ", "Flames ", "smoke"]
    edited.normal["yard"] = ["a yard", "smoke"]
    edited.write(path)
    read = MemoryDraft.read(path)
    assert (read.incidents["Fire"], read.normal["yard"]) == (["flames", "smoke"], ["a yard"])
