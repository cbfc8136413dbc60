"""Verbs about live cameras: find them in the network, and watch them in the terminal."""
