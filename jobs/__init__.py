"""What `ray job submit` runs: each file reads its configuration and calls exvad on Ray."""
