"""The server's database: analyses, streams, alerts, webhooks, and notification of new events."""
