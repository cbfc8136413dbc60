"""A small label file."""

from __future__ import annotations

from exvad.laam.phrases import LabelPhrases

LABELS = LabelPhrases(
    phrases={
        "Normal": ["people walk", "a car drives", "a calm day"],
        "RoadAccidents": ["cars crash", "a car hits a person", "a wreck"],
    },
    origin="a test",
)
