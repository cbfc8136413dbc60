"""The feature store: part files, schemas, fingerprints, failures, feature bank, examples."""
