"""Sources of videos and frames: uploads, URLs, cameras and growing files."""
