"""Features on disk → network input: part files, fingerprints, failures, feature bank, examples."""
