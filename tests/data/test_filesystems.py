"""Paths and URIs are resolved to a file system and a path in it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.fs as pafs
import pytest

from exvad.data.filesystems import resolve_filesystem


def test_a_local_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    filesystem, path = resolve_filesystem("a #1.mp4")
    assert isinstance(filesystem, pafs.LocalFileSystem)
    assert path == str(tmp_path / "a #1.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a #1.mp4", "日本.mp4"])
def test_a_file_uri_keeps_any_name(tmp_path: Path, name: str) -> None:
    filesystem, path = resolve_filesystem(f"file://{tmp_path}/{name}")
    assert isinstance(filesystem, pafs.LocalFileSystem)
    assert path == f"{tmp_path}/{name}"


def test_fsspec_opens_what_pyarrow_does_not_support() -> None:
    filesystem, path = resolve_filesystem("memory://folder/a.mp4")
    assert filesystem.type_name == "py::fsspec+memory"
    assert path == "/folder/a.mp4"


def test_an_unknown_protocol_is_refused_with_what_to_use() -> None:
    with pytest.raises(ValueError, match=r"'nosuch://x': .*Use a local path, or a URI"):
        resolve_filesystem("nosuch://x")
