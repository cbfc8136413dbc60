"""Videos → frames: containers, packet survey, chunks, decoding, sandbox, live sources."""
