"""The tables of the queue's database, and how those of an earlier version become those of this one.

Databases of 0.2.0 and later are upgraded, so that their history stays. The version of the tables is
SQLite's `user_version`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import exvad

FIRST_VERSION = 7  # of exvad 0.2.0; tables of 0.1 are refused
SCHEMA_VERSION = 10
SCHEMA = """
create table analyses (
    id text primary key, name text not null, path text not null, uploaded integer not null,
    options text not null, state text not null, progress real not null default 0,
    created real not null, started real, finished real,
    holder text, lease real, attempts integer not null default 0,
    score real, label text, events integer, result text, error text, timings text,
    triage text not null default 'open', review text, domain text not null default ''
);
create index analyses_by_state on analyses (state, created);
create table streams (
    id text primary key, name text not null, source text not null, options text not null,
    state text not null, created real not null, finished real, holder text, lease real,
    threshold real, classes text not null default '[]', seconds real, delay real, score real,
    dropped integer not null default 0, notice text, num_alerts integer not null default 0,
    domain text not null default '', scored_at real
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
"""
# A stream that has ended is never opened again: its source, which may contain a password, goes.
FORGET_SOURCE = "source = '{}'"

# Version of the tables → the statements that make them those of the next version.
UPGRADES: Mapping[int, str] = {
    7: f"update streams set {FORGET_SOURCE} where state = 'ended';",
    8: "alter table analyses add column review text;",
    9: "alter table analyses add column domain text not null default '';"
    "update analyses set domain = json_extract(result, '$.domain.text') "
    "where json_extract(result, '$.domain.state') = 'outside';"
    "alter table streams add column domain text not null default '';"
    "alter table streams add column scored_at real;",
}


def is_upgradable(version: int) -> bool:
    """Return whether tables of a version can become those of this one."""
    return FIRST_VERSION <= version < SCHEMA_VERSION


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of this version in an empty file."""
    connection.executescript(
        "pragma journal_mode = wal; begin immediate;"
        f"pragma user_version = {SCHEMA_VERSION}; {SCHEMA}"
        f"insert into written_by values ('{exvad.__version__}'); commit;"
    )


def upgrade_tables(connection: sqlite3.Connection, version: int) -> None:
    """Make the tables of an earlier version those of this one, all or nothing.

    Args:
        connection: an open connection outside a transaction.
        version: version of the tables; see `is_upgradable`.
    """
    steps = "".join(UPGRADES[step] for step in range(version, SCHEMA_VERSION))
    connection.executescript(
        f"pragma secure_delete = on; begin immediate; {steps}"
        f"update written_by set version = '{exvad.__version__}';"
        f"pragma user_version = {SCHEMA_VERSION}; commit;"
    )
