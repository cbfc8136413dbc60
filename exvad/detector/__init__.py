"""Answers about a video file."""
