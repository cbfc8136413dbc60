"""Local files that pyarrow writes are complete or absent."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import fs as pa_fs

from exvad.data.storage.atomic_arrow import atomic_arrow
from exvad.data.storage.places import resolve_place
from tests.helpers.disks import fill, small_disk

HALF = """
import os, signal, sys
from exvad.data.storage.places import resolve_place
filesystem, path = resolve_place(sys.argv[1]).to_arrow()
stream = filesystem.open_output_stream(path)
stream.write(b"half of the new")
stream.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state [1].json"
    path.write_text("the old content")
    subprocess.run([sys.executable, "-c", HALF, str(path)], check=False)
    assert path.read_text() == "the old content"


def test_a_stream_that_is_not_closed_or_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("the old content")
    stream = atomic_arrow().open_output_stream(str(path))
    stream.write(b"half of the new")
    del stream
    assert path.read_text() == "the old content"
    assert list(tmp_path.iterdir()) == [path]


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("the old content")
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (link, pipe):
        with atomic_arrow().open_output_stream(str(path)) as stream:
            stream.write(b"new")
    assert target.read_text() == os.read(reader, 10).decode() == "new"
    os.close(reader)
    assert link.is_symlink()
    assert pipe.is_fifo()


def test_long_names_can_be_written_and_a_failing_rename_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    with atomic_arrow().open_output_stream(str(path)) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    stream = atomic_arrow().open_output_stream(str(tmp_path / "taken"))
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        stream.close()
    assert {item.name for item in tmp_path.iterdir()} == {path.name, "taken"}


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "state.json"
        path.write_text("the old content")
        fill(disk)
        with (
            pytest.raises(OSError, match="No space left"),
            atomic_arrow().open_output_stream(str(path)) as stream,
        ):
            stream.write(bytes(2**17))
        assert path.read_text() == "the old content"
        assert {file.name for file in disk.iterdir()} == {"state.json", "filler"}


def test_folders_are_copied_listed_and_deleted_and_the_file_system_is_pickled(
    tmp_path: Path,
) -> None:
    (tmp_path / "source/inner").mkdir(parents=True)
    (tmp_path / "source/inner/a").write_bytes(b"a" * 2**20)
    (tmp_path / "source/b").write_bytes(b"")
    filesystem, path = resolve_place(tmp_path / "copy").to_arrow()
    assert pickle.loads(pickle.dumps(filesystem)) == filesystem
    filesystem.create_dir(path)
    pa_fs.copy_files(str(tmp_path / "source"), path, destination_filesystem=filesystem)
    assert (tmp_path / "copy/inner/a").read_bytes() == b"a" * 2**20
    found = filesystem.get_file_info(pa_fs.FileSelector(path, recursive=True))
    assert {Path(info.path).name for info in found} == {"inner", "a", "b"}
    filesystem.delete_dir(path)
    assert not (tmp_path / "copy").exists()
