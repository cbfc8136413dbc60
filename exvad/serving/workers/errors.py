"""Errors of the deployments that the workers use."""

from __future__ import annotations


class NoReplicaError(RuntimeError):
    """No replica of a deployment answers; the video is not the cause."""
