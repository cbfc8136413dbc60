"""The analysis of a video and the records of a live stream; depends on no other room."""

from exvad.results.analysis import Analysis, Caption, DetectedEvent, DomainCheck, Explanation
from exvad.results.live import LiveAlert, LiveNotice, LiveScores, Record

__all__ = [
    "Analysis",
    "Caption",
    "DetectedEvent",
    "DomainCheck",
    "Explanation",
    "LiveAlert",
    "LiveNotice",
    "LiveScores",
    "Record",
]
