"""The HTTP API: one small module of routes per resource."""
