"""Answers about a live stream."""
