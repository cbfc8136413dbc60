"""The queue of webhooks; a webhook survives the process that added it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from exvad.serving.queue.database import Database

RETRY_SECONDS = 5  # pause before the second attempt; it doubles with each attempt
ATTEMPT_SECONDS = 25  # longer than an attempt takes: no other sender claims the webhook meanwhile


class Webhook(NamedTuple):
    """A webhook that is due.

    Args:
        id: its number, which rises from webhook to webhook.
        url: the address to post to.
        receiver: host and port of the URL.
        analysis_id: the analysis whose status is the body, or None.
        body: the body of a webhook that is not about an analysis.
        attempts: number of attempts, including this one.
    """

    id: int
    url: str
    receiver: str
    analysis_id: str | None
    body: str | None
    attempts: int


class WebhookQueue(Database):
    """Webhooks that wait to be sent."""

    def claim(self, busy: Collection[str] = ()) -> Webhook | None:
        """Claim the oldest of the webhooks with the fewest attempts; None if none is due.

        The webhook becomes due again later, unless it is deleted.

        Args:
            busy: receivers whose webhooks are not claimed.
        """
        now = time.time()
        with self.write() as connection:
            row = connection.execute(
                "update webhooks set attempts = attempts + 1, due = ? + ? * (1 << attempts) "
                "where id = (select id from webhooks where due <= ? "
                "and receiver not in (select value from json_each(?)) "
                "order by attempts, id limit 1) "
                "returning id, url, receiver, analysis_id, body, attempts",
                (now + ATTEMPT_SECONDS, RETRY_SECONDS, now, json.dumps(list(busy))),
            ).fetchone()
        return None if row is None else Webhook(*row)

    def delete(self, webhook_id: int) -> None:
        """Delete a webhook that was delivered or given up."""
        with self.write() as connection:
            connection.execute("delete from webhooks where id = ?", (webhook_id,))


def add_webhook(
    connection: sqlite3.Connection,
    url: str,
    analysis_id: str | None = None,
    body: str | None = None,
) -> None:
    """Add a webhook within a transaction.

    Args:
        connection: the open transaction.
        url: the address to post to.
        analysis_id: the analysis whose status is the body.
        body: the body, if it is not about an analysis.
    """
    receiver = urlsplit(url).netloc.rpartition("@")[2].lower()
    connection.execute(
        "insert into webhooks (url, receiver, analysis_id, body, due) values (?, ?, ?, ?, 0)",
        (url, receiver, analysis_id, body),
    )
