"""The field's metrics: frame AUC and AP, and detection mAP by two named protocols."""

from exvad.metrics.detection import IOUS, DetectionMAP, detection_map
from exvad.metrics.frames import frame_auc_ap
from exvad.metrics.types import FrameEvent, Protocol

__all__ = ["IOUS", "DetectionMAP", "FrameEvent", "Protocol", "detection_map", "frame_auc_ap"]
