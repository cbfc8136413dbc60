"""The features of a training worker: in memory up to a limit, the rest in a file."""
