"""What takes work from the queue: analyses, live streams, webhooks."""
