"""A test set measured: summaries, intervals, comparisons, the paper's tables and ablations."""
