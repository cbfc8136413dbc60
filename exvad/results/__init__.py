"""What answers say: analyses of videos and records of live streams. Depends on nothing of exvad."""

from exvad.results.analysis import Analysis, Caption, DetectedEvent, Explanation
from exvad.results.live import LiveAlert, LiveNotice, LiveScores, Record

__all__ = [
    "Analysis",
    "Caption",
    "DetectedEvent",
    "Explanation",
    "LiveAlert",
    "LiveNotice",
    "LiveScores",
    "Record",
]
