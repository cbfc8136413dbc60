"""The sender of webhooks: an analysis that ended, or an alert, posted and signed.

A webhook that fails is sent again, also after a restart of the server. The header
`X-Exvad-Signature` is `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of `SECONDS.BODY` under the
shared secret. A receiver computes it again, and refuses a request that is some minutes old. The
number in `X-Exvad-Delivery` rises from webhook to webhook, and stays the same when one is sent
again. It shows a receiver duplicates, and webhooks that arrive out of order.
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

from exvad.data.storage.errors import reason_of
from exvad.serving.queue.retrying import retry_while_disk_full
from exvad.serving.queue.webhooks import Webhook, WebhookQueue

if TYPE_CHECKING:
    from exvad.serving.queue.analyses import AnalysisQueue
    from exvad.serving.sources.fetch import Fetcher

SIGNATURE_HEADER = "X-Exvad-Signature"
DELIVERY_HEADER = "X-Exvad-Delivery"
MAX_ATTEMPTS = 10
MAX_RECEIVERS = 32  # that webhooks are sent to at the same time
MIN_SECRET_BYTES = 16
IDLE_SECONDS = 0.5


def read_secret(path: Path) -> bytes:
    """Return the secret that signs webhooks.

    Args:
        path: a file that holds the secret.

    Raises:
        ValueError: the file can't be read, or the secret is too short.
    """
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"webhook_secret: {path}: {reason_of(error)}") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"webhook_secret: {path} holds fewer than {MIN_SECRET_BYTES} characters")
    return secret


def sign(secret: bytes, seconds: int, body: bytes) -> str:
    """Return the value of the signature header.

    Args:
        secret: the shared secret.
        seconds: the current time, in seconds since 1970.
        body: the body of the webhook.
    """
    digest = hmac.new(secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


class WebhookSender:
    """Sends webhooks that are due.

    Args:
        queue: the queue of analyses; the webhooks are in the same file.
        fetcher: posts the webhooks.
        secret: signs the webhooks.
    """

    def __init__(self, queue: AnalysisQueue, fetcher: Fetcher, secret: bytes) -> None:
        self.queue = queue
        self.webhooks = WebhookQueue(queue.path)
        self.fetcher = fetcher
        self.secret = secret

    def run(self, stopped: threading.Event) -> None:
        """Send webhooks until `stopped` is set: to many receivers at once, one at a time to each.

        Args:
            stopped: set it to end.
        """
        sending: dict[str, Future[None]] = {}  # by receiver
        with ThreadPoolExecutor(MAX_RECEIVERS) as pool:
            while not stopped.is_set():
                for receiver in [receiver for receiver, sent in sending.items() if sent.done()]:
                    sending.pop(receiver).result()
                webhook = None
                if len(sending) < MAX_RECEIVERS:
                    webhook = retry_while_disk_full(lambda: self.webhooks.claim(sending), stopped)
                if webhook is not None:
                    sending[webhook.receiver] = pool.submit(self._send, webhook, stopped)
                elif sending:
                    wait(sending.values(), IDLE_SECONDS, FIRST_COMPLETED)
                else:
                    stopped.wait(IDLE_SECONDS)

    def send_one(self) -> bool:
        """Send one webhook that is due; False if there is none."""
        webhook = self.webhooks.claim()
        if webhook is not None:
            self._send(webhook, threading.Event())
        return webhook is not None

    def _send(self, webhook: Webhook, stopped: threading.Event) -> None:
        body = webhook.body
        analysis_id = webhook.analysis_id
        if analysis_id is not None:
            status = retry_while_disk_full(lambda: self.queue.status(analysis_id), stopped)
            body = None if status is None else status.model_dump_json()
        # Without a body, the analysis was deleted: there is nothing to send.
        is_done = body is None or self._post(webhook, body.encode())
        if is_done or webhook.attempts >= MAX_ATTEMPTS:
            retry_while_disk_full(lambda: self.webhooks.delete(webhook.id), stopped)

    def _post(self, webhook: Webhook, body: bytes) -> bool:
        """Post a webhook; False if the receiver did not accept it."""
        headers = {
            "Content-Type": "application/json",
            DELIVERY_HEADER: str(webhook.id),
            SIGNATURE_HEADER: sign(self.secret, int(time.time()), body),
        }
        try:
            return 200 <= asyncio.run(self.fetcher.post(webhook.url, body, headers)) < 300
        except ValueError:
            return False
