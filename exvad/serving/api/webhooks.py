"""The check of a webhook that a request names."""

from __future__ import annotations

from exvad.serving.api.context import Context


async def check_webhook(context: Context, url: str | None) -> None:
    """Refuse a webhook that the server can't sign or may not call.

    Args:
        context: the shared objects of the application.
        url: URL of the webhook, or None.

    Raises:
        ValueError: the server has no secret, or the URL leads to an address it may not contact.
    """
    if url is None:
        return
    if context.settings.webhook_secret is None:
        raise ValueError("webhook: the server has no secret to sign it with: set webhook_secret")
    await context.fetcher.check(url)
