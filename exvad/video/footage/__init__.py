"""What odd recordings mean: their clocks, geometry, colours, fields, and folders of frames."""
