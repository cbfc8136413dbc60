"""Verbs about labels of videos: persons confirm events on a page, and files of annotation tools."""
