"""Video files and cameras → frames: container, chunks, decoding, sandbox, live sources."""
