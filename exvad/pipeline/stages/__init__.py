"""The steps of preprocessing on Ray Data; they fill the stages of the feature store."""
