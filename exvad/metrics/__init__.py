"""The field's metrics: frame AUC and AP, detection mAP by two named protocols, and newer ones.

The newer ones are a latency-aware AP, false alarms per hour, and the calibration error.
"""

from exvad.metrics.alarms import false_alarms_per_hour
from exvad.metrics.detection import IOUS, DetectionMAP, detection_map
from exvad.metrics.frames import frame_auc_ap
from exvad.metrics.latency import latency_aware_ap
from exvad.metrics.reliability import calibration_error
from exvad.metrics.types import FrameEvent, Protocol

__all__ = [
    "IOUS",
    "DetectionMAP",
    "FrameEvent",
    "Protocol",
    "calibration_error",
    "detection_map",
    "false_alarms_per_hour",
    "frame_auc_ap",
    "latency_aware_ap",
]
