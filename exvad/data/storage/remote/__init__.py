"""Buckets and other file systems behind a network."""
