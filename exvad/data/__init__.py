"""Data sets: records, manifest files, benchmarks, folders of videos, and the demo world."""
