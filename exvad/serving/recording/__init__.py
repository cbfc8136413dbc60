"""Recordings of streams: the ring of the last hours, and the clips of alerts."""
