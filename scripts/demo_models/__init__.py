"""Training of the demo world's three tiny models."""
