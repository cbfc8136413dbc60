"""Explainable, fine-grained video anomaly detection: when, what kind, and why."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.config import Config, load_config
    from exvad.detector.detector import Detector
    from exvad.detector.loading import load
    from exvad.metrics import detection_map, frame_auc_ap
    from exvad.results import Analysis, Explanation

__version__ = "0.2.0"
__all__ = [
    "Analysis",
    "Config",
    "Detector",
    "Explanation",
    "__version__",
    "detection_map",
    "frame_auc_ap",
    "load",
    "load_config",
]

_MODULES = {
    "Analysis": "exvad.results",
    "Config": "exvad.config",
    "Detector": "exvad.detector.detector",
    "Explanation": "exvad.results",
    "detection_map": "exvad.metrics",
    "frame_auc_ap": "exvad.metrics",
    "load": "exvad.detector.loading",
    "load_config": "exvad.config",
}


def __getattr__(name: str) -> Any:
    # Importing torch and transformers takes seconds: a public name is imported on first use.
    if name not in _MODULES:
        raise AttributeError(f"module 'exvad' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
