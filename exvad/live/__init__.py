"""The live detector: scores, alerts and explanations of a stream."""
