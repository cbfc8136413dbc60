"""The deployments of Ray Serve and the application they make."""
