"""Storage: local files, buckets and other file systems behind one interface."""
