"""Threads that take work from the queues: analyses, live streams, webhooks."""
