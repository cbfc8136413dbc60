"""The server's database: analyses, streams, alerts, events and webhooks."""
