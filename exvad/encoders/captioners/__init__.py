"""Captioners Φ_C of equation 1, one file per backend, and what they share."""
