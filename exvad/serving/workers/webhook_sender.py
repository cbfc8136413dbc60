"""Webhooks: an ended analysis or an alert, posted and signed; tried again, even after a restart.

The header `X-Exvad-Signature` is `t=SECONDS,v1=HEX`, HEX the HMAC-SHA256 of `SECONDS.BODY` under
the shared secret. A receiver computes it anew, and refuses what is older than some minutes.
`X-Exvad-Delivery` is a number that rises from webhook to webhook and stays when one is sent again:
by it a receiver sees what it has already, and that something later overtook what had failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.serving.queue.retrying import retry_while_disk_full
from exvad.serving.queue.webhooks import Hook, Hooks

if TYPE_CHECKING:
    from exvad.serving.queue.analyses import Queue
    from exvad.serving.sources.fetch import Fetcher

HEADER = "X-Exvad-Signature"
DELIVERY = "X-Exvad-Delivery"
MOST_ATTEMPTS = 10
MOST_RECEIVERS = 32  # sent to at once
IDLE_SECONDS = 0.5


def read_secret(path: Path) -> bytes:
    """Return the secret of a file.

    Raises:
        ValueError: the file can't be read, or the secret is too short to protect anything.
    """
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"webhook_secret: {path}: {error.strerror}") from None
    if len(secret) < 16:
        raise ValueError(f"webhook_secret: {path} holds fewer than 16 characters")
    return secret


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """Return the value of the header."""
    digest = hmac.new(secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


class Sender:
    """Sends what is due.

    Args:
        queue: the analyses, whose file the webhooks wait in.
        fetcher: posts them.
        secret: signs them.
    """

    def __init__(self, queue: Queue, fetcher: Fetcher, secret: bytes) -> None:
        self.queue = queue
        self.hooks = Hooks(queue.path)
        self.fetcher = fetcher
        self.secret = secret

    def run(self, stopped: threading.Event) -> None:
        """Send until told to stop, one at a time to a receiver, to many receivers at once."""
        sending: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(MOST_RECEIVERS) as pool:
            while not stopped.is_set():
                for receiver in [each for each, sent in sending.items() if sent.done()]:
                    sending.pop(receiver).result()
                free = len(sending) < MOST_RECEIVERS
                hook = (
                    retry_while_disk_full(lambda: self.hooks.due(sending), stopped)
                    if free
                    else None
                )
                if hook is not None:
                    sending[hook.receiver] = pool.submit(self._send, hook, stopped)
                elif sending:
                    wait(sending.values(), IDLE_SECONDS, FIRST_COMPLETED)
                else:
                    stopped.wait(IDLE_SECONDS)

    def send(self) -> bool:
        """Send one webhook that is due; False if there is none."""
        hook = self.hooks.due()
        if hook is not None:
            self._send(hook, threading.Event())
        return hook is not None

    def _send(self, hook: Hook, stopped: threading.Event) -> None:
        body = hook.body
        if hook.analysis is not None:
            number = hook.analysis
            found = retry_while_disk_full(lambda: self.queue.status(number), stopped)
            body = None if found is None else found.model_dump_json()
        # Nothing is left to tell of an analysis that was deleted meanwhile.
        arrived = body is None or self._arrives(hook, body.encode())
        if arrived or hook.attempts >= MOST_ATTEMPTS:
            retry_while_disk_full(lambda: self.hooks.sent(hook.number), stopped)

    def _arrives(self, hook: Hook, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            DELIVERY: str(hook.number),
            HEADER: signature(self.secret, int(time.time()), body),
        }
        try:
            return 200 <= asyncio.run(self.fetcher.post(hook.url, body, headers)) < 300
        except ValueError:
            return False
