"""The jobs on Ray: preprocessing, labels, training, evaluation, ablations, the demo."""
