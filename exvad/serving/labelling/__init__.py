"""Labels from reviews: the videos to label, and the manifest that reviews are written to."""
