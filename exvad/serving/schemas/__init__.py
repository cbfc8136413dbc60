"""What the HTTP API takes and returns, version 1."""
