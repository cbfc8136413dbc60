"""The HTTP API, version 1: routes, dependencies, authorization, limits, problems."""
