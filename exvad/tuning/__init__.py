"""The sweep: Ray Tune with Optuna, confirmation, MLflow."""
