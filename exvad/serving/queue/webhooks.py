"""Webhooks that wait to be sent, in the queue's file: none is lost with a process."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from exvad.serving.queue.database import Database

HOOK_SECONDS = 5  # until a webhook that failed is tried again; twice as long each time
SENDING_SECONDS = 25  # longer than one attempt may take: nobody else tries meanwhile


class Hook(NamedTuple):
    """A webhook that is due.

    Args:
        number: names it.
        url: where it goes.
        receiver: the host and port of the URL.
        analysis: id of the analysis it is about, whose status is the body; or None.
        body: what is posted, where it is not about an analysis.
        attempts: how often it was tried, this time included.
    """

    number: int
    url: str
    receiver: str
    analysis: str | None
    body: str | None
    attempts: int


class Hooks(Database):
    """The webhooks that wait."""

    def due(self, busy: Collection[str] = ()) -> Hook | None:
        """Take the oldest webhook that was tried least; it is due again later unless `sent`.

        Args:
            busy: receivers whose webhooks are left where they are.
        """
        now = time.time()
        with self.write() as base:
            row = base.execute(
                "update hooks set attempts = attempts + 1, due = ? + ? * (1 << attempts) "
                "where number = (select number from hooks where due <= ? "
                "and receiver not in (select value from json_each(?)) "
                "order by attempts, number limit 1) "
                "returning number, url, receiver, analysis, body, attempts",
                (now + SENDING_SECONDS, HOOK_SECONDS, now, json.dumps(list(busy))),
            ).fetchone()
        return None if row is None else Hook(*row)

    def sent(self, number: int) -> None:
        """Forget a webhook: it has arrived, or never will."""
        with self.write() as base:
            base.execute("delete from hooks where number = ?", (number,))


def add_hook(
    base: sqlite3.Connection, url: str, analysis: str | None = None, body: str | None = None
) -> None:
    """Let a webhook wait to be sent, within a transaction."""
    base.execute(
        "insert into hooks (url, receiver, analysis, body, due) values (?, ?, ?, ?, ?)",
        (url, urlsplit(url).netloc.rpartition("@")[2].lower(), analysis, body, 0),
    )
