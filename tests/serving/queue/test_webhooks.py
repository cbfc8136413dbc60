"""A webhook is claimed by one sender at a time, and again until it is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.serving.queue.webhooks import WebhookQueue, add_webhook


@pytest.fixture
def webhooks(tmp_path: Path) -> WebhookQueue:
    webhooks = WebhookQueue(tmp_path / "queue.sqlite")
    with webhooks.write() as connection:
        add_webhook(connection, "http://user:password@First/a", body="1")
        add_webhook(connection, "http://second:8080/b", body="2")
    return webhooks


def test_claim_returns_each_due_webhook_once_and_the_oldest_first(webhooks: WebhookQueue) -> None:
    claims = [webhooks.claim() for _ in range(3)]
    assert [claim and (claim.receiver, claim.body, claim.attempts) for claim in claims] == [
        ("first", "1", 1),
        ("second:8080", "2", 1),
        None,
    ]


def test_claim_skips_busy_receivers(webhooks: WebhookQueue) -> None:
    webhook = webhooks.claim(busy=["first"])
    assert webhook is not None
    assert webhook.receiver == "second:8080"
    assert webhooks.claim(busy=["first"]) is None


def test_claim_repeats_a_webhook_until_it_is_deleted(
    webhooks: WebhookQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.queue.webhooks.RETRY_SECONDS", 0)
    monkeypatch.setattr("exvad.serving.queue.webhooks.ATTEMPT_SECONDS", 0)
    first = webhooks.claim(busy=["second:8080"])
    again = webhooks.claim(busy=["second:8080"])
    assert first is not None
    assert again == first._replace(attempts=2)
    webhooks.delete(first.id)
    assert webhooks.claim(busy=["second:8080"]) is None
