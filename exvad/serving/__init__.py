"""The server on Ray Serve: schemas, queues, sources, workers, deployments, HTTP API and page."""
