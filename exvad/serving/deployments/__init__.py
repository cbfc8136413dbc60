"""The deployments of Ray Serve, and the application that they form."""
