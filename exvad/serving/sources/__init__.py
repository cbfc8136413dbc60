"""Where videos come from: uploads, URLs, cameras, growing files."""
