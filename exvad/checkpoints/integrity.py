"""Whether the files of a checkpoint are those that training wrote."""

from __future__ import annotations

import hashlib
from typing import Any


def check_hash(name: str, content: bytes, expected: str) -> None:
    """Refuse a file that changed after training; a network with other weights would answer too.

    Args:
        name: the file.
        content: its content.
        expected: the SHA-256 (hex) of what training wrote.

    Raises:
        ValueError: the content has another hash.
    """
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(f"{name} is not the file that training wrote")


def check_settings(name: str, settings: Any, expected: int) -> None:
    """Refuse a file of settings that was cut off: defaults would take the place of the rest.

    Settings that were changed by hand are not refused.

    Args:
        name: the file.
        settings: its content.
        expected: the number of settings that training wrote; 0 if that is not known.

    Raises:
        ValueError: it has fewer.
    """
    if (count := count_settings(settings)) < expected:
        raise ValueError(f"{name} has {count} of {expected} settings")


def count_settings(settings: Any) -> int:
    """Return the number of settings of nested sections; a list or an empty section is one."""
    if isinstance(settings, dict) and settings:
        return sum(map(count_settings, settings.values()))
    return 1
