"""Explainable, fine-grained video anomaly detection: when, what kind, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.config import Config, load_config
    from exvad.detector import Detector
    from exvad.load import load

__version__ = "0.1.0"
__all__ = ["Config", "Detector", "__version__", "load", "load_config"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import exvad` stays instant."""
    if name == "Detector":
        from exvad.detector import Detector

        return Detector
    if name == "load":
        from exvad.load import load

        return load
    if name in {"Config", "load_config"}:
        from exvad import config

        return getattr(config, name)
    raise AttributeError(f"module 'exvad' has no attribute {name!r}")
