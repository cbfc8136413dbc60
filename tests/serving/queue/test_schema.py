"""A database of an earlier version since 0.2.0 is upgraded; its history stays, passwords go."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exvad.results import DomainCheck
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.database import Database, check_database
from exvad.serving.queue.schema import SCHEMA_VERSION
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.schemas.analyses import AnalysisOptions
from exvad.serving.schemas.streams import StreamOptions
from tests.helpers.fake_detector import make_analysis

# The tables of exvad 0.2.0 in version 7. Never changed: such files exist.
VERSION_7 = """
pragma journal_mode = wal;
pragma user_version = 7;
create table analyses (
    id text primary key, name text not null, path text not null, uploaded integer not null,
    options text not null, state text not null, progress real not null default 0,
    created real not null, started real, finished real,
    holder text, lease real, attempts integer not null default 0,
    score real, label text, events integer, result text, error text, timings text,
    triage text not null default 'open'
);
create index analyses_by_state on analyses (state, created);
create table streams (
    id text primary key, name text not null, source text not null, options text not null,
    state text not null, created real not null, finished real, holder text, lease real,
    threshold real, classes text not null default '[]', seconds real, delay real, score real,
    dropped integer not null default 0, notice text, num_alerts integer not null default 0
);
create table alerts (
    stream_id text not null, number integer not null, began_at real not null, alert text not null,
    triage text not null default 'open', frame blob, primary key (stream_id, number)
);
create table events (
    number integer primary key autoincrement, subject_id text not null, kind text not null,
    data text not null
);
create index events_by_subject on events (subject_id, number);
create table webhooks (
    id integer primary key autoincrement, url text not null, receiver text not null,
    analysis_id text, body text, due real not null, attempts integer not null default 0
);
create table counters (name text primary key, value real not null);
create table workers (holder text primary key, model text not null, last_heartbeat real not null);
create table written_by (version text not null);
insert into written_by values ('0.2.0');
"""


@pytest.fixture
def old_database(tmp_path: Path) -> Path:
    """A database of version 7 with an analysis, and a watched, an ended and a deleted stream."""
    path = tmp_path / "queue.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"pragma secure_delete = off; {VERSION_7}")
        result = make_analysis("a.mp4").model_dump_json()
        connection.execute(
            "insert into analyses (id, name, path, uploaded, options, state, created, finished, "
            "score, label, events, result, triage) values "
            "('a', 'a.mp4', '/a', 0, ?, 'done', 1, 2, 0.9, 'Arson', 1, ?, 'reviewed')",
            (AnalysisOptions().model_dump_json(), result),
        )
        check = DomainCheck(state="outside", distance=2.0, text="It is outside.")
        outside = make_analysis("b.mp4").model_copy(update={"domain": check})
        connection.execute(
            "insert into analyses (id, name, path, uploaded, options, state, created, result) "
            "values ('b', 'b.mp4', '/b', 0, ?, 'done', 1, ?)",
            (AnalysisOptions().model_dump_json(), outside.model_dump_json()),
        )
        for number, state in enumerate(("waiting", "ended", "ended")):
            source = f'{{"path": null, "url": "rtsp://admin:secret-{number}@camera/door"}}'
            connection.execute(
                "insert into streams (id, name, source, options, state, created) "
                "values (?, 'door', ?, ?, ?, 1)",
                (f"stream {number}", source, StreamOptions().model_dump_json(), state),
            )
        connection.execute("delete from streams where id = 'stream 2'")
    path.chmod(0o644)
    assert b"secret-2" in path.read_bytes()
    return path


@pytest.mark.parametrize("open_database", [Database, check_database])
def test_a_database_of_an_earlier_version_is_upgraded_with_its_history(
    old_database: Path, open_database: type
) -> None:
    open_database(old_database)
    with closing(sqlite3.connect(old_database)) as connection:
        assert connection.execute("pragma user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    analysis = AnalysisQueue(old_database).status("a")
    assert analysis is not None
    assert analysis.result == make_analysis("a.mp4")
    assert analysis.triage == "reviewed"
    listed, _ = AnalysisQueue(old_database).list_page(None, 9, 0)
    assert {item.id: item.domain for item in listed} == {"a": "", "b": "It is outside."}
    streams = StreamQueue(old_database)
    assert [stream.id for stream in streams.list_page(9, 0)[0]] == ["stream 0", "stream 1"]
    claim = streams.claim("the test")
    assert claim is not None
    assert claim.source.url == "rtsp://admin:secret-0@camera/door"


def test_upgrading_removes_the_passwords_of_streams_that_are_not_watched(
    old_database: Path,
) -> None:
    Database(old_database)
    files = list(old_database.parent.glob("queue.sqlite*"))
    content = b"".join(path.read_bytes() for path in files)
    assert b"secret-0" in content
    assert b"secret-1" not in content
    assert b"secret-2" not in content
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
