"""How messages are worded in every room: addresses without passwords, and names to suggest."""
