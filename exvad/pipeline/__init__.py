"""The jobs, on Ray: preprocessing stages, labels, training, evaluation, ablations, the demo."""
