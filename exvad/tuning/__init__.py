"""The sweep: search with Ray Tune and Optuna, confirmation with several seeds, MLflow."""
