"""Where results go besides the output folder."""
