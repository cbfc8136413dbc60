"""The preflight: what a job needs is looked at before anything is computed."""
