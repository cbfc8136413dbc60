"""The checkpoint folder, the MLflow registry and tracking, the MLflow model."""
