"""Atomic writes: a file is complete or absent."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from exvad.data.atomic import create_file, write_bytes_atomic, write_json_atomic, write_text_atomic


def test_write_bytes_atomic_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "file.bin"
    write_bytes_atomic(target, b"first")
    write_bytes_atomic(target, b"second")
    assert target.read_bytes() == b"second"
    assert list(target.parent.iterdir()) == [target]


def test_text_and_json_are_written_as_utf8(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.txt", "τ → 0.07")
    write_json_atomic(tmp_path / "a.json", {"b": [1, 2.5], "a": "Übung"})
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "τ → 0.07"
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"a": "Übung", "b": [1, 2.5]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_write_json_atomic_refuses_values_without_a_json_form(
    tmp_path: Path, value: object
) -> None:
    write_json_atomic(tmp_path / "a.json", 1)
    with pytest.raises((ValueError, TypeError)):
        write_json_atomic(tmp_path / "a.json", {"x": value})
    assert json.loads((tmp_path / "a.json").read_bytes()) == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    target = tmp_path / "file.bin"
    write_bytes_atomic(target, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes_atomic(target, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("links", [True, False])
def test_create_file_writes_a_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    target = tmp_path / "new" / "claim"
    assert create_file(target, b"first")
    assert not create_file(target, b"second")
    assert target.read_bytes() == b"first"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_failed_creation_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        create_file(tmp_path / "claim", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_reported_as_it_was_given(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250)
    with pytest.raises(OSError, match="too long") as caught:
        write_text_atomic(target, "text")
    assert caught.value.filename == str(target)
