"""The server, on Ray Serve: queue, sources, workers, deployments, HTTP API, page."""
