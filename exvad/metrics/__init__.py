"""The field's metrics: frame AUC and AP, and detection mAP by two named protocols."""

from exvad.metrics.checks import FrameEvent
from exvad.metrics.detection import IOUS, DetectionMAP, Protocol, detection_map
from exvad.metrics.frames import frame_auc_ap

__all__ = ["IOUS", "DetectionMAP", "FrameEvent", "Protocol", "detection_map", "frame_auc_ap"]
