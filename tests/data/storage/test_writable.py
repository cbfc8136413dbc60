"""Whether a result can be written is known before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exvad.data.storage.writable import check_new_file, check_new_folder


def test_files_and_folders_that_can_be_written_leave_no_trace(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    check_new_file(tmp_path / "old")
    check_new_file(tmp_path / "new")
    check_new_file(tmp_path / "far/away/new")
    check_new_folder(tmp_path)
    check_new_folder(tmp_path / "far/away")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_the_message_names_the_option_the_file_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, reason in {
        tmp_path: "is a folder; name a file",
        tmp_path / "file/new": f"can't be written ({tmp_path}/file is no folder)",
        tmp_path / "file/far/new": f"can't be written ({tmp_path}/file is no folder)",
        tmp_path / "pipe": "is no regular file, and can't be replaced by one; name a file",
        Path("a\0b"): "can't be written (a name can't hold a zero byte)",
        tmp_path / ("x" * 300): "can't be written (File name too long)",
        Path("/proc/no/new"): "can't be written (No such file or directory)",
    }.items():
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared in full
            check_new_file(path, "--html")
        assert str(caught.value) == f"--html {path}: {reason}"


def test_folders_are_refused_by_their_own_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/new"):
        with pytest.raises(ValueError, match=r"can't be written \(.*file is no folder\)"):
            check_new_folder(folder)
