"""Training: the loop, the choice of the epoch, and what a Ray Train worker runs."""
