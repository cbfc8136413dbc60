"""Network → scores → calibrated events → the answer."""
