"""The detector: analyses of video files."""
