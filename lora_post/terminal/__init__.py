"""The status page's view in a terminal."""
