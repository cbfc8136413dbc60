"""Checkpoints: the folder on disk, references to it, and their MLflow runs and models."""
