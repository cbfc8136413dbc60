"""The database is created once, and refused if another version or program wrote it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import exvad
from exvad.data.versions import OtherVersionError
from exvad.serving.queue.database import Database, check_database
from exvad.serving.queue.schema import SCHEMA_VERSION


def make_database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def test_a_database_is_opened_again_with_its_content(tmp_path: Path) -> None:
    with Database(tmp_path / "queue.sqlite").write() as connection:
        connection.execute("insert into counters values ('accepted', 3)")
    assert Database(tmp_path / "queue.sqlite").read_counters() == {"accepted": 3}


def test_a_new_database_is_created_by_parallel_processes(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        databases = list(pool.map(lambda _: Database(tmp_path / "queue.sqlite"), range(32)))
    assert [database.read_counters() for database in databases] == [{}] * 32


def test_write_rolls_back_if_the_block_raises(tmp_path: Path) -> None:
    database = Database(tmp_path / "queue.sqlite")

    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute("insert into counters values ('accepted', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert database.read_counters() == {}


@pytest.mark.parametrize("open_database", [Database, check_database])
def test_a_database_of_exvad_0_1_is_refused(tmp_path: Path, open_database: type) -> None:
    script = f"create table hooks (url text); pragma user_version = {SCHEMA_VERSION - 1};"
    path = make_database(tmp_path / "queue.sqlite", script)
    with pytest.raises(OtherVersionError) as refused:
        open_database(path)
    assert str(refused.value) == (
        f"{path} was written by exvad 0.1, and this is exvad {exvad.__version__}: "
        "set another spool folder in the server's settings"
    )


def test_a_database_is_only_for_its_owner(tmp_path: Path) -> None:
    database = Database(tmp_path / "queue.sqlite")
    with database.write() as connection:
        connection.execute("insert into counters values ('accepted', 3)")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("queue.sqlite*")}
    assert modes == dict.fromkeys(("queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm"), 0o600)
    # An operator may let the group read it, such as for backups, but nobody else.
    (tmp_path / "queue.sqlite").chmod(0o640)
    Database(tmp_path / "queue.sqlite")
    assert (tmp_path / "queue.sqlite").stat().st_mode & 0o777 == 0o640


def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    Database(path)
    make_database(path, "update written_by set version = '0.9.0'; pragma user_version = 99;")
    with pytest.raises(OtherVersionError, match=r"was written by exvad 0\.9\.0, and this is"):
        Database(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = make_database(tmp_path / "queue.sqlite", "create table songs (title text)")
    with pytest.raises(ValueError, match=r"queue\.sqlite is not a database of exvad"):
        Database(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(b"rubbish " * 1000)
    with pytest.raises(ValueError, match=r"queue\.sqlite can't be read"):
        Database(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a folder", "can't be opened: unable to open database file"),
        ("a file/queue.sqlite", "a file is no folder: set another spool folder"),
    ],
)
def test_check_database_refuses_places_that_cannot_work(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a file").touch()
    with pytest.raises(ValueError, match=message):
        check_database(tmp_path / name)


def test_check_database_creates_no_file(tmp_path: Path) -> None:
    check_database(tmp_path / "none" / "queue.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_databases_of_one_process_keep_the_log_from_another_that_leaves(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    first, second = Database(path), Database(path)
    script = (
        "import sys; from pathlib import Path; from exvad.serving.queue.database import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "with database.write() as connection:\n"
        "    connection.execute(\"insert into counters values ('there', 1)\")\n"
    )
    for database in (first, second):
        with database.write() as connection:
            connection.execute("insert or replace into counters values ('here', 1)")
        subprocess.run([sys.executable, "-c", script.replace("there", str(id(database))), path],
                       check=True)  # fmt: skip
        assert path.with_name("queue.db-wal").exists()
    with first.read() as connection:
        assert connection.execute("pragma integrity_check").fetchone()[0] == "ok"
        assert connection.execute("select count(*) from counters").fetchone()[0] == 3
